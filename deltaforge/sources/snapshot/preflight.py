"""How long a copy may take and how much the log grows meanwhile, against what the server keeps of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot.base import Kept, TablePlan

BYTES_PER_SECOND = 20 << 20
"""What one connection is expected to read: little, so that nobody is surprised."""
LOG_SHARE = 2
"""The log may grow by so many times the size of the tables while they are copied."""
_STEPS = ((0.8, "80 %", "the risk is high that"), (0.5, "half", "it may be that"))
"""From which share of what the server keeps on something is said, and what."""


class Risk(NamedTuple):
    """Why the log may be gone before it is read. ``step``: the same for the same thing to be said."""

    step: str
    text: str
    hint: str


class CopySize:
    """How much there is to copy: tables are added as they are planned."""

    def __init__(self, config: SnapshotConfig) -> None:
        self._config = config
        self._tables: dict[TableName, tuple[int, int, int]] = {}

    def add(self, plan: TablePlan) -> None:
        """Count a table, once."""
        self._tables[plan.table] = plan.estimated_rows or 0, plan.estimated_bytes or 0, len(plan.stripes)

    @property
    def table_count(self) -> int:
        """How many tables."""
        return len(self._tables)

    @property
    def row_count(self) -> int:
        """About how many rows."""
        return sum(rows for rows, _, _ in self._tables.values())

    @property
    def byte_count(self) -> int:
        """About how many bytes they have on the server."""
        return sum(size for _, size, _ in self._tables.values())

    @property
    def secs(self) -> float:
        """How long: at most so many tables at a time, none faster than a connection is expected to be, and no more
        rows per second than the document allows.
        """
        if not self._tables:
            return 0.0
        workers = min(len(self._tables), self._config.max_parallel_tables)
        each = max(stripes for _, _, stripes in self._tables.values())
        largest = max(size for _, size, _ in self._tables.values())
        secs = max(self.byte_count / workers, largest / each) / BYTES_PER_SECOND
        most = self._config.max_rows_per_second
        return secs if most is None else max(secs, self.row_count / most)

    def risks(self, kept: Kept) -> Iterator[Risk]:
        """What could be lost, should a sink be slower than the writers: the log itself is read meanwhile."""
        behind = "the log is gone before it is read, should a sink be slower than the writers"
        if kept.secs is not None and (step := _step(self.secs, kept.secs)) is not None:
            share, risk = step
            yield Risk(
                f"time {share}",
                f"the copy may take {share} or more of the {time_text(kept.secs)} for which the server keeps its log:"
                f" {risk} {behind}",
                "keep the log for longer (`binlog_expire_logs_seconds`), copy more tables at a time, or fewer at all",
            )
        if kept.byte_count is not None and (step := _step(LOG_SHARE * self.byte_count, kept.byte_count)) is not None:
            share, risk = step
            yield Risk(
                f"size {share}",
                f"twice the size of the tables is {share} or more of the {size_text(kept.byte_count)} that the server"
                f" keeps for a slot: {risk} {behind}",
                "raise `max_slot_wal_keep_size`, or copy fewer tables",
            )


class ToldRisks:
    """The risks of a copy whose tables are planned one after the other: each is told once, when it is reached.

    Attributes:
        kept: What the server keeps of the log; nothing is known of it before, and after a restart.
    """

    def __init__(self, config: SnapshotConfig) -> None:
        self.kept = Kept()
        self._size = CopySize(config)
        self._told: set[str] = set()

    def news(self, plan: TablePlan) -> list[str]:
        """What there is to say with one more table."""
        self._size.add(plan)
        new = [risk for risk in self._size.risks(self.kept) if risk.step not in self._told]
        self._told.update(risk.step for risk in new)
        return [f"with the tables before it, {risk.text}; {risk.hint}" for risk in new]


def _step(expected: float, kept: float) -> tuple[str, str] | None:
    return next(((share, risk) for least, share, risk in _STEPS if expected >= kept * least), None)


def size_text(count: int) -> str:
    """Bytes for people."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"


def time_text(secs: float) -> str:
    """A time for people."""
    if secs < 120:
        return f"{max(1, round(secs))} s"
    return f"{secs / 60:.0f} min" if secs < 7200 else f"{secs / 3600:.0f} h"
