"""What a property of Debezium is to us: one row of the table that imports and is printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from deltaforge.debezium.draft import EVERY_KIND, Draft, Kind

Take = Callable[[Draft, str], None]
"""Puts a value of the property into the document, or says why not."""

MYSQL: frozenset[Kind] = frozenset(("mysql", "mariadb"))
POSTGRES: frozenset[Kind] = frozenset(("postgresql",))


@dataclass(frozen=True)
class Property:
    """One property, or several that differ in a part of their names.

    Attributes:
        name: As Debezium has it; ``<…>`` stands for a part that is free.
        ours: What it is here, for the page: a setting, or why there is none.
        take: What becomes of a value.
        kinds: The connectors that read it.
    """

    name: str
    ours: str
    take: Take
    kinds: frozenset[Kind] = EVERY_KIND

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"<[^>]*>", self.name)
        return re.compile("(.+?)".join(map(re.escape, parts)))

    def free_parts(self, name: str) -> tuple[str, ...] | None:
        """What stands for the free parts of the name; None if that is another property."""
        found = self._pattern.fullmatch(name)
        return found.groups() if found else None


def elsewhere(_draft: Draft, _value: str) -> None:
    """It was looked at together with others."""


def needless(name: str, reason: str, kinds: frozenset[Kind] = EVERY_KIND) -> Property:
    """A property that changes no message and has no setting here."""
    return Property(name, f"Not needed: {reason}.", lambda draft, _: draft.note(f"not needed: {reason}"), kinds)


def lost(name: str, reason: str, *same: str, kinds: frozenset[Kind] = EVERY_KIND) -> Property:
    """A property that there is nothing for; with one of the values ``same`` nothing is needed."""

    def take(draft: Draft, value: str) -> None:
        if value.strip().lower() not in same:
            draft.refuse(reason)

    held = f" `{'`, `'.join(filter(None, same))}` is what is done here." if any(same) else ""
    return Property(name, f"None: {reason}.{held}", take, kinds)


def option(
    name: str, setting: str, values: Mapping[str, object], note: str = "", kinds: frozenset[Kind] = EVERY_KIND
) -> Property:
    """A property whose values are those of an option of the envelope, maybe under other names."""

    def take(draft: Draft, value: str) -> None:
        known = value.strip().lower()
        if known in values:
            draft.envelope[setting] = values[known]
        else:
            draft.refuse(f"{value[:40]!r} is no value that is known; one of {', '.join(values)}")

    return Property(name, f"`envelope.{setting}`{note and f'; {note}'}", take, kinds)


def switch(name: str, setting: str, note: str = "", kinds: frozenset[Kind] = EVERY_KIND) -> Property:
    """A property that is on or off, as the option of the envelope."""
    return option(name, setting, {"true": True, "false": False}, note, kinds)


def number(name: str, put: Callable[[Draft, int], None], ours: str, kinds: frozenset[Kind] = EVERY_KIND) -> Property:
    """A property that is a whole number."""

    def take(draft: Draft, value: str) -> None:
        if value.strip().isdecimal():
            put(draft, int(value))
        else:
            draft.refuse(f"{value[:40]!r} is no whole number")

    return Property(name, ours, take, kinds)
