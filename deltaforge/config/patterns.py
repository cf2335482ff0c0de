"""Which tables a list of patterns means. Contract 02 section 2.3; the one place that knows the rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from deltaforge.config.model import StrictModel

_ANYTHING = ("*", "%")
_NOT = "!"
_MAX_LENGTH = 1024
"""More than two quoted names of any server can have."""
_QUOTED = re.compile(r"`((?:[^`]|``)+)`|\"((?:[^\"]|\"\")+)\"")


class _Half(NamedTuple):
    """One side of the dot: a text that is compared whole, or the beginning of one."""

    text: str
    is_prefix: bool

    def matches(self, text: str, *, ignores_case: bool) -> bool:
        wanted, found = (self.text.lower(), text.lower()) if ignores_case else (self.text, text)
        return found.startswith(wanted) if self.is_prefix else found == wanted


class TablePatterns:
    """A list of patterns such as ``shop.orders``, ``shop.order%``, ``orders`` or ``shop.`order.v2` ``.

    A pattern is split at its first dot into qualifier (database or schema) and name. A half is ``*`` or
    ``%`` for anything, ends in one of them for a prefix, and is compared whole otherwise. A half in backticks
    or double quotes is a name with whatever it holds, the quote itself doubled. What a pattern behind ``!`` matches
    is left out, whatever the others say. A list with nothing to take means every table. System schemas never match.

    Args:
        patterns: As written in the document.
        system: Qualifiers that are never matched, whatever the patterns say.
        default_qualifier: What a pattern without a dot is qualified with; None means any qualifier.

    Attributes:
        ignores_case: Whether names are compared without their case: set where the server does so.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        system: frozenset[str] = frozenset(),
        default_qualifier: str | None = None,
    ) -> None:
        self.ignores_case = False
        self._system = system
        self._patterns = {p: _split(p, default_qualifier) for p in patterns if not p.startswith(_NOT)}
        self._left_out = [_split(p[1:], default_qualifier) for p in patterns if p.startswith(_NOT)]

    def matches(self, qualifier: str, name: str) -> bool:
        """Whether the table ``qualifier.name`` is meant."""
        if self._is_left_out(qualifier, name):
            return False
        return not self._patterns or any(self._is_meant(halves, qualifier, name) for halves in self._patterns.values())

    def may_match_in(self, qualifier: str) -> bool:
        """Whether some table of a database or schema can be meant."""
        ignores_case = self.ignores_case
        lefts = [left for left, _ in self._patterns.values()]
        return qualifier not in self._system and (
            not lefts or any(left.matches(qualifier, ignores_case=ignores_case) for left in lefts)
        )

    def unmatched(self, tables: Iterable[tuple[str, str]]) -> list[str]:
        """The patterns that mean none of these tables, or none that is not left out."""
        known = [table for table in tables if not self._is_left_out(*table)]
        return [p for p, halves in self._patterns.items() if not any(self._is_meant(halves, *table) for table in known)]

    @property
    def all(self) -> list[str]:
        """The patterns of what is taken, as they are written."""
        return list(self._patterns)

    def alone(self, pattern: str) -> TablePatterns:
        """One of :attr:`all`, by itself."""
        only = TablePatterns([], system=self._system)
        only._patterns = {pattern: self._patterns[pattern]}
        return only

    def qualifier_of(self, pattern: str) -> str | None:
        """The database or schema that a pattern names; None if it may be any or several."""
        left, _ = self._patterns[pattern]
        return None if left.is_prefix else left.text

    def _is_left_out(self, qualifier: str, name: str) -> bool:
        return qualifier in self._system or any(self._is_meant(halves, qualifier, name) for halves in self._left_out)

    def _is_meant(self, halves: tuple[_Half, _Half], qualifier: str, name: str) -> bool:
        left, right = halves
        ignores_case = self.ignores_case
        return left.matches(qualifier, ignores_case=ignores_case) and right.matches(name, ignores_case=ignores_case)


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern that could never match, or None."""
    if not pattern.strip():
        return "a table pattern must not be empty"
    if len(pattern) > _MAX_LENGTH:
        return f"a table pattern has at most {_MAX_LENGTH} characters"
    if any(not half.text and not half.is_prefix for half in _split(pattern.removeprefix(_NOT), None)):
        return f"table pattern {pattern!r} has an empty half; write * for anything"
    return None


def _usable(pattern: str) -> str:
    fault = pattern_fault(pattern)
    if fault:
        raise ValueError(fault)
    return pattern


TablePattern = Annotated[str, AfterValidator(_usable)]
"""A table pattern in a document."""


class PatternLists(StrictModel):
    """Tables to take and to leave; leaving beats taking."""

    include: list[TablePattern] = Field(default_factory=list, description="Table patterns; empty: every table.")
    exclude: list[TablePattern] = Field(default_factory=list, description="Table patterns; beats `include`.")


def _split(pattern: str, default_qualifier: str | None) -> tuple[_Half, _Half]:
    default = _Half("", is_prefix=True) if default_qualifier is None else _Half(default_qualifier, is_prefix=False)
    quoted = _QUOTED.match(pattern)
    if quoted is not None and quoted.end() == len(pattern):
        return default, _half(pattern)
    if quoted is not None and pattern[quoted.end()] == ".":
        return _half(quoted[0]), _half(pattern[quoted.end() + 1 :])
    left, dot, right = pattern.partition(".")
    return (_half(left), _half(right)) if dot else (default, _half(left))


def _half(text: str) -> _Half:
    if _QUOTED.fullmatch(text):
        return _Half(text[1:-1].replace(text[0] * 2, text[0]), is_prefix=False)
    return _Half(text[:-1], is_prefix=True) if text.endswith(_ANYTHING) else _Half(text, is_prefix=False)
