"""What drift detection counted; plain data, saved with every epoch."""

from __future__ import annotations

import msgspec

UNEXPECTED_NULL = "unexpected_null"
TYPE_MISMATCH = "type_mismatch"
UNDECLARED_COLUMN = "undeclared_column"
MISSING_COLUMN = "missing_column"
VALUE_OUT_OF_RANGE = "value_out_of_range"
JSON_STRUCTURE_CHANGE = "json_structure_change"

HIGH_NULL_RATE = 0.001
"""From this share of nulls on, a column declared NOT NULL is listed."""


class DriftRecord(msgspec.Struct):
    """One kind of drift of one column.

    Attributes:
        expected_type: The declared type, or ``NOT NULL``; empty for a column that is not declared.
        observed_types: What was there instead, in order of appearance.
        count: Events that had it.
        examples: JSON texts of values that had it.
    """

    expected_type: str
    observed_types: list[str] = []
    count: int = 0
    examples: list[str] = []


class TableDrift(msgspec.Struct):
    """All drift of one table.

    Attributes:
        events_analyzed: Sampled rows that were compared with their declaration.
        events_with_drift: Of these, rows with at least one kind of drift.
        records: By column, then by kind.
        null_counts: Nulls among the analyzed rows, of columns declared NOT NULL.
    """

    events_analyzed: int = 0
    events_with_drift: int = 0
    records: dict[str, dict[str, DriftRecord]] = {}
    null_counts: dict[str, int] = {}

    def null_rates(self) -> dict[str, float]:
        """Share of nulls, of the columns declared NOT NULL that had more than a few."""
        rates = {name: count / self.events_analyzed for name, count in self.null_counts.items() if count}
        return {name: round(rate, 6) for name, rate in rates.items() if rate > HIGH_NULL_RATE}
