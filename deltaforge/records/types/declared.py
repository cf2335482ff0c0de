"""Declared types, read: ``bigint(20) unsigned``, ``numeric(10,2)[]``, ``enum('a','b')``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from deltaforge.core.labels import labels_in


class Declared(NamedTuple):
    """A type as the catalog declares it, in parts.

    Attributes:
        name: In lower case, without arguments and schema: ``character varying``.
        numbers: Its arguments that are numbers.
        labels: Of an enum or set.
        is_unsigned: MySQL: whether it has no negative values.
        items: Of an array: the type of what is in it.
    """

    name: str
    numbers: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    is_unsigned: bool = False
    items: Declared | None = None

    def number(self, place: int, default: int) -> int:
        """An argument, or what its absence means."""
        return self.numbers[place] if place < len(self.numbers) else default


@lru_cache(maxsize=4096)
def declared(text: str) -> Declared:
    """The parts of a declared type. All text is one: what is not understood has a name that no row knows."""
    text = _COMMENT.sub("", text).strip()
    if text.endswith("[]"):
        while text.endswith("[]"):  # a type does not say how many dimensions its values have
            text = text[:-2]
        return Declared("array", items=declared(text))
    match = _TYPE.fullmatch(text)
    if match is None:
        return Declared(text)
    name, arguments, rest = match["name"], match["arguments"] or "", match["rest"] or ""
    if name.lower() in ("enum", "set"):
        return Declared(name.lower(), labels=labels_in(arguments))
    numbers = tuple(int(part) for part in arguments.split(",") if _NUMBER.fullmatch(part.strip()))
    last = _PARTS.findall(name)[-1]  # behind the schema, which only names of PostgreSQL have
    if last.startswith('"'):
        return Declared(name if name == '"char"' else last[1:-1].replace('""', '"'), numbers)
    words = f"{last} {rest}".lower().split()
    plain = " ".join(word for word in words if word not in _ATTRIBUTES)
    if plain.startswith("interval "):
        plain = "interval"  # which of its parts are kept shows in its values
    return Declared(plain, numbers, is_unsigned="unsigned" in words or "zerofill" in words)


_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TYPE = re.compile(
    r"(?P<name>(?:\"(?:[^\"]|\"\")*\"|[^(\"])+?)\s*(?:\((?P<arguments>.*)\)(?P<rest>[^()]*))?", re.DOTALL
)
_PARTS = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_NUMBER = re.compile(r"-?\d+")
_ATTRIBUTES = frozenset({"unsigned", "zerofill", "signed", "compressed"})
