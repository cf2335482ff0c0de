"""Samples: what sensing and drift see of a group of rows, decoded or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from deltaforge.core.event import ChangeEvent, RowImage
from deltaforge.sensing.structure import ABSENT, signature, structure_hash

WHOLE_ROW = ""
"""In place of a column name: the ``after`` image itself. No database allows it as a name."""


class Sample(Protocol):
    """Some rows of one table. Only rows with an ``after`` image count."""

    @property
    def row_count(self) -> int:
        """Rows of the group, sampled or not."""

    @property
    def sampled_count(self) -> int:
        """Rows that were sampled."""

    @property
    def totals(self) -> Sequence[int]:
        """Per asked column, rows (sampled or not) whose value is neither null nor missing."""

    @property
    def signatures(self) -> Sequence[int]:
        """Per sampled row, :func:`deltaforge.sensing.structure.signature`."""

    def structures(self, column: int) -> Sequence[int]:
        """Per sampled row, the :func:`~deltaforge.sensing.structure.structure_hash` of the value of the n-th
        asked column; ``ABSENT`` for null or missing, ``NOT_HASHED`` if the value has to be looked at.
        """

    def structure_counts(self, column: int) -> dict[int, int]:
        """How many sampled rows have each of :meth:`structures`. Belongs to the caller."""

    def signature_counts(self) -> dict[int, int]:
        """How many sampled rows have each of ``signatures``. Belongs to the caller."""

    def after(self, row: int) -> RowImage:
        """The ``after`` image of the n-th sampled row. Not to be changed.

        Raises:
            ProtocolError: The bytes of the log break their format.
        """


def is_sampled(number: int, warmup: int, rate: int) -> bool:
    """Whether the row with this number (from 0, per table) is sampled: every one of the warm-up, then 1 in ``rate``."""
    return number < warmup or number % rate == 0


class EventSample:
    """A sample of rows that are decoded already."""

    __slots__ = ("_columns", "_max_depth", "_rows", "row_count", "sampled_count", "signatures", "totals")

    def __init__(
        self, rows: list[RowImage], columns: Sequence[str], totals: list[int], *, row_count: int, max_depth: int
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._max_depth = max_depth
        self.row_count = row_count
        self.sampled_count = len(rows)
        self.totals: Sequence[int] = totals
        self.signatures: Sequence[int] = list(map(signature, rows))

    def structures(self, column: int) -> Sequence[int]:
        name, depth = self._columns[column], self._max_depth
        if name == WHOLE_ROW:
            return [structure_hash(row, depth) for row in self._rows]
        values = [row.get(name) for row in self._rows]
        return [ABSENT if value is None else structure_hash(value, depth) for value in values]

    def structure_counts(self, column: int) -> dict[int, int]:
        return Counter(self.structures(column))

    def signature_counts(self) -> dict[int, int]:
        return Counter(self.signatures)

    def after(self, row: int) -> RowImage:
        return self._rows[row]


def sample_of_events(  # noqa: PLR0913 - the terms of one rule, all named
    events: Sequence[ChangeEvent],
    columns: Sequence[str],
    *,
    seen: int,
    warmup: int,
    rate: int,
    max_depth: int,
) -> EventSample:
    """The sample of events of one table.

    Args:
        events: In log order; those without an ``after`` image are left out.
        columns: The asked columns; :data:`WHOLE_ROW` asks for the image itself.
        seen: Rows of the table in all samples before.
        warmup: The first so many rows of the table are all sampled.
        rate: Of the others, 1 in so many.
        max_depth: Levels that structure hashes look into.
    """
    images = [event.after for event in events if event.after is not None]
    totals = [
        len(images) if name == WHOLE_ROW else sum(image.get(name) is not None for image in images) for name in columns
    ]
    rows = [image for number, image in enumerate(images, seen) if is_sampled(number, warmup, rate)]
    return EventSample(rows, columns, totals, row_count=len(images), max_depth=max_depth)
