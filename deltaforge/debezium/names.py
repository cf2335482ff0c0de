"""Regular expressions of table names as Debezium has them, made table patterns where both mean the same.

Debezium compares ``database.table`` (PostgreSQL: ``schema.table``) as a whole, and without its case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple, TypeVar

_MAX_ALTERNATIVES = 1000
_Said = TypeVar("_Said")
_SPECIAL = frozenset("\\.*+?()[]{}|^$")


class Some(NamedTuple):
    """Any characters; ``is_one``: exactly one."""

    is_one: bool


Element = str | Some
"""A literal character, or any ones."""
DOT = Some(is_one=True)
ANY = Some(is_one=False)


class UnclearNameError(Exception):
    """A regular expression that no table patterns say."""


class Half(NamedTuple):
    """One side of a pattern: a name, or the beginning of one."""

    text: str
    is_prefix: bool

    def matches(self, other: Half) -> bool:
        """Whether every name of ``other`` is one of these."""
        return other.text.startswith(self.text) if self.is_prefix else self == other

    @property
    def pattern(self) -> str:
        """As it is written in a document."""
        if self.is_prefix:
            return self.text + "*"
        is_plain = re.fullmatch(r"[^.`\"*%]+", self.text) is not None
        return self.text if is_plain else '"' + self.text.replace('"', '""') + '"'


EVERY = Half("", is_prefix=True)


def split_list(text: str) -> list[str]:
    """The members of a list; a comma with a backslash before it is part of one, as with Debezium."""
    return [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", text) if part.strip()]


def tables_of(expression: str) -> list[tuple[Half, Half]]:
    """What an expression of whole names means, as qualifiers and names.

    Raises:
        UnclearNameError: No patterns mean the same; with the reason.
    """
    return [_halves(elements) for elements in _alternatives(expression)]


def names_of(expression: str) -> list[Half]:
    """What an expression of names without a qualifier means, such as databases.

    Raises:
        UnclearNameError: No patterns mean the same; with the reason.
    """
    return [_half(elements) for elements in _alternatives(expression)]


def _halves(elements: list[Element]) -> tuple[Half, Half]:
    """Where the dot between the halves is: an escaped one, or the only unescaped, since a name has one at least."""
    written = [at for at, element in enumerate(elements) if element == "."]
    free = [at for at, element in enumerate(elements) if element == DOT]
    if elements and elements[-1] == ANY and not written and not free and ANY not in elements[:-1]:
        return _half(elements), EVERY  # "shop.*" is every table of each database that begins with "shop"
    if len(written) == 1 and not free:
        at = written[0]
    elif len(free) == 1 and not written and ANY not in elements:
        at = free[0]
    elif len(written) > 1:
        raise UnclearNameError("has several dots; name the table by hand, in quotes")
    else:
        raise UnclearNameError("a dot without a backslash is any character, so that other names match it, too")
    return _half(elements[:at]), _half(elements[at + 1 :])


def _half(elements: list[Element]) -> Half:
    text = "".join(element for element in elements if isinstance(element, str))
    if text and elements == list(text):
        return Half(text, is_prefix=False)
    if elements == [*text, ANY] and not set(text) & set('`"'):
        return Half(text, is_prefix=True)
    raise UnclearNameError("table patterns are a name, or the beginning of one with * behind it")


def _alternatives(expression: str) -> list[list[Element]]:
    found = list(_Reading(expression).whole())
    if len(found) > _MAX_ALTERNATIVES:
        raise UnclearNameError("means too many names")
    return found


class _Reading:
    """Of an expression out of literals, dots, ``.*`` and groups of alternatives."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("^")
        if self._text.endswith("$") and not self._text.endswith("\\$"):
            self._text = self._text[:-1]
        self._at = 0

    def whole(self) -> list[list[Element]]:
        found = self._choice()
        if self._at < len(self._text):
            raise UnclearNameError("a closing bracket has no opening one")
        return found

    def _choice(self) -> list[list[Element]]:
        found = self._sequence()
        while self._taken("|"):
            found += self._sequence()
        return found

    def _sequence(self) -> list[list[Element]]:
        parts: list[list[list[Element]]] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._part())
            count = 1
            for part in parts:
                count *= len(part)
            if count > _MAX_ALTERNATIVES:
                raise UnclearNameError("means too many names")
        return [[element for part in chosen for element in part] for chosen in product(*parts)]

    def _part(self) -> list[list[Element]]:
        found = self._atom()
        if self._at < len(self._text) and self._text[self._at] in "*+?{":
            if found != [[DOT]] or not self._taken("*"):
                raise UnclearNameError("repeats something; of repetitions only .* can be said by a pattern")
            self._taken("?")
            return [[ANY]]
        return found

    def _atom(self) -> list[list[Element]]:
        if self._taken("("):
            self._taken("?:")
            found = self._choice()
            if not self._taken(")"):
                raise UnclearNameError("a bracket is not closed")
            return found
        if self._taken("\\Q"):
            literal, _, rest = self._text[self._at :].partition("\\E")
            self._at = len(self._text) - len(rest)
            return [list(literal)]
        if self._taken("[.]"):
            return [["."]]
        if self._taken("."):
            return [[DOT]]
        char = self._text[self._at]
        self._at += 1
        if char == "\\":
            char = self._text[self._at : self._at + 1]
            self._at += 1
            if not char or char.isalnum():
                raise UnclearNameError("has a class of characters, which no pattern can say")
        elif char in _SPECIAL:
            raise UnclearNameError(f"has {char}, which no pattern can say")
        return [[char]]

    def _taken(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True


def patterns_of(tables: str | None, qualifiers: str | None, refuse: Callable[[str, str], None]) -> list[str] | None:
    """The patterns of an include list of tables and one of databases or schemas: both have to hold.

    Args:
        tables: Regular expressions of tables, with commas; None: every one.
        qualifiers: Of databases or schemas, likewise.
        refuse: Is told of each expression that cannot be said, with the reason.

    Returns:
        The patterns; None if there is no list at all.
    """
    if tables is None and qualifiers is None:
        return None
    inside = list(_said(qualifiers, names_of, refuse)) if qualifiers is not None else [EVERY]
    named = list(_said(tables, tables_of, refuse)) if tables is not None else [(EVERY, EVERY)]
    found: dict[str, None] = {}
    for (qualifier, name), allowed in product(named, inside):
        if allowed.matches(qualifier):
            found[f"{qualifier.pattern}.{name.pattern}"] = None
        elif qualifier.matches(allowed):
            found[f"{allowed.pattern}.{name.pattern}"] = None
    return list(found)


def _said(text: str, read: Callable[[str], list[_Said]], refuse: Callable[[str, str], None]) -> Iterator[_Said]:
    for expression in split_list(text):
        try:
            yield from read(expression)
        except UnclearNameError as error:
            refuse(expression, str(error))
