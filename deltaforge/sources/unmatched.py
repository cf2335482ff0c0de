"""Patterns of a document that no table of the source matches: usually a slip, and silent in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from deltaforge.config.patterns import TablePatterns
from deltaforge.schema.registry import TableName

log = logging.getLogger(__name__)

MAX_NAMED = 3


class PatternWatch:
    """What no table matches, from one look at the catalog to the next.

    Args:
        source_id: For log lines.
        patterns: Of the document, by what the setting is called in messages.

    Attributes:
        reasons: Why a pattern matches none, by pattern.
    """

    def __init__(self, source_id: str, patterns: dict[str, TablePatterns]) -> None:
        self._source_id = source_id
        self._patterns = patterns
        self.reasons: dict[str, str] = {}

    def look(self, tables: Collection[TableName], why: Callable[[TablePatterns, str], str | None]) -> None:
        """Compare with the tables whose rows can be read.

        Args:
            tables: All of them.
            why: What the source knows of a pattern that matches none.
        """
        before, self.reasons = self.reasons, {}
        for setting, patterns in self._patterns.items():
            for pattern in patterns.unmatched(tables):
                reason = _other_case(patterns, pattern, tables) or why(patterns, pattern) or "no table matches"
                self.reasons[_shown(setting, pattern)] = reason
        for name, reason in self.reasons.items():
            if before.get(name) != reason:
                log.warning("table pattern %s: %s", name, reason, extra={"source_id": self._source_id})

    def seen(self, *tables: TableName) -> None:
        """Tables that may not have been there at the last look."""
        for setting, patterns in self._patterns.items() if self.reasons else ():
            for pattern in set(patterns.all).difference(patterns.unmatched(tables)):
                self.reasons.pop(_shown(setting, pattern), None)


def _shown(setting: str, pattern: str) -> str:
    return pattern if setting == "tables" else f"{setting}: {pattern}"


def named(tables: Collection[TableName]) -> str:
    """Some of the tables, for a message."""
    found = [f"`{'.'.join(table)}`" for table in sorted(tables)]
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(found[:MAX_NAMED]) + more


def _other_case(patterns: TablePatterns, pattern: str, tables: Collection[TableName]) -> str | None:
    alike = patterns.alone(pattern)
    alike.ignores_case = True
    found = [table for table in tables if alike.matches(*table)]
    return f"no table matches; names are compared with their case, and there is {named(found)}" if found else None
