"""A document in the making, and what there is to say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, Literal, NamedTuple

Kind = Literal["mysql", "mariadb", "postgresql"]
"""Which connector it is, as Debezium names it in events."""
EVERY_KIND: frozenset[Kind] = frozenset(("mysql", "mariadb", "postgresql"))

_OF_CONNECT = re.compile(r"\$\{(?P<provider>[^}:]*):(?:(?P<path>[^}:]*):)?(?P<key>[^}]*)\}")
_OF_SERVER = re.compile(r"\$\{(?P<key>[A-Za-z_][A-Za-z0-9_.]*)(?::(?P<default>[^}]*))?\}")


class Report(NamedTuple):
    """Something that the document does not say as the property does.

    Attributes:
        name: Of the property.
        text: What becomes of it.
        is_lost: Whether messages are not what they were.
    """

    name: str
    text: str
    is_lost: bool


@dataclass
class Draft:
    """What was understood so far.

    Attributes:
        kind: Which connector it is.
        config: Its properties.
        is_server: Whether Debezium Server runs it.
        writes_secrets: Whether passwords are written out.
        source: Settings of the source.
        envelope: Of the envelope.
        encoding: Of the encoding.
        sink: Of the Kafka sink.
        reports: What there is to say.
        variables: Names of the environment variables that the document has.
        places: What each variable that stands for a reference was there.
        subject: The property that is looked at.
        parts: What stands for the free parts of its name.
    """

    kind: Kind
    config: Mapping[str, str]
    is_server: bool = False
    writes_secrets: bool = False
    source: dict[str, Any] = field(default_factory=dict)
    envelope: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)
    sink: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    variables: dict[str, None] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.is_server:  # an environment variable keeps its name, whatever comes before it
            for found in chain.from_iterable(map(_OF_CONNECT.finditer, self.config.values())):
                if _is_variable(found):
                    self.places[found["key"]] = found[0]

    def note(self, text: str, name: str | None = None) -> None:
        """Say something that changes no message."""
        self.reports.append(Report(name or self.subject, text, is_lost=False))

    def refuse(self, text: str, name: str | None = None) -> None:
        """Say that messages, or which there are, would not be the same."""
        self.reports.append(Report(name or self.subject, text, is_lost=True))

    def text(self, value: str, write: Callable[[str], str] = str) -> str:
        """A value for the document: references of Kafka Connect and Debezium Server become environment variables.

        Args:
            value: As the file has it.
            write: What is done to the text around references, such as percent-encoding.
        """
        pattern = _OF_SERVER if self.is_server else _OF_CONNECT
        parts, at = [], 0
        for found in pattern.finditer(value):
            parts += [write(value[at : found.start()]), self._reference(found)]
            at = found.end()
        return "".join([*parts, write(value[at:])])

    def secret(self, name: str, variable: str, write: Callable[[str], str] = str) -> str:
        """The value of a property that is a secret: a variable, unless it is to be written out."""
        value = self.config.get(name)
        if value and (self.writes_secrets or (_OF_SERVER if self.is_server else _OF_CONNECT).fullmatch(value)):
            return self.text(value, write)
        self.variables[variable] = None
        return f"${{{variable}}}"

    def _reference(self, found: re.Match[str]) -> str:
        key = re.sub(r"[^A-Za-z0-9_]", "_", found["key"])
        name = key if not key[:1].isdigit() else f"_{key}"
        parts = found.groupdict()
        if not self.is_server and not _is_variable(found):
            name = self._of_place(name.upper(), found[0])
            self.note(f"a reference to another place: here it is the variable {name}")
        self.variables[name] = None
        return f"${{{name}:-{parts['default']}}}" if parts.get("default") is not None else f"${{{name}}}"

    def _of_place(self, name: str, reference: str) -> str:
        """The variable for a reference: keys of two files may have one name, and are two secrets."""
        names = chain((name,), (f"{name}_{number}" for number in count(2)))
        return next(one for one in names if self.places.setdefault(one, reference) == reference)


def has_reference(value: str) -> bool:
    """Whether Kafka Connect takes some of the value from another place."""
    return _OF_CONNECT.search(value) is not None


def _is_variable(found: re.Match[str]) -> bool:
    return found["provider"] == "env" and not found["path"]
