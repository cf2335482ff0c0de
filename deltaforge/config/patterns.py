"""Which tables a list of patterns means. Contract 02 section 2.3; the one place that knows the rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from deltaforge.config.model import StrictModel

_ANYTHING = ("*", "%")


class TablePatterns:
    """A list of patterns such as ``shop.orders``, ``shop.order%`` or ``orders``.

    A pattern is split at its first dot into qualifier (database or schema) and name. A half is ``*`` or
    ``%`` for anything, ends in one of them for a prefix, and is compared whole and case-sensitively
    otherwise. An empty list means every table. System schemas never match.

    Args:
        patterns: As written in the document.
        system: Qualifiers that are never matched, whatever the patterns say.
        default_qualifier: What a pattern without a dot is qualified with; None means any qualifier.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        system: frozenset[str] = frozenset(),
        default_qualifier: str | None = None,
    ) -> None:
        self._system = system
        self._halves = [_split(pattern, default_qualifier or "*") for pattern in patterns]

    def matches(self, qualifier: str, name: str) -> bool:
        """Whether the table ``qualifier.name`` is meant."""
        if qualifier in self._system:
            return False
        if not self._halves:
            return True
        return any(_half_matches(left, qualifier) and _half_matches(right, name) for left, right in self._halves)


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern that could never match, or None."""
    if not pattern.strip():
        return "a table pattern must not be empty"
    if not all(_split(pattern, "*")):
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


def _split(pattern: str, default_qualifier: str) -> tuple[str, str]:
    left, dot, right = pattern.partition(".")
    return (left, right) if dot else (default_qualifier, left)


def _half_matches(half: str, text: str) -> bool:
    if half.endswith(_ANYTHING):
        return text.startswith(half[:-1])
    return half == text
