"""Snapshots as plain data: which tables are copied, how far each is, and which part of a job a batch is.

All of it is immutable. A state belongs to a place between two batches: it is saved with the log position of that place,
so a cursor is never ahead of what the sinks have acked.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Cursor = str
"""A place in a table, in the order in which it is copied. Only the source that made it understands it."""

JobKind = Literal["initial", "new_table", "ad_hoc", "new_sink"]
JobStatus = Literal["running", "paused", "completed", "failed", "cancelled"]
TableStatus = Literal["waiting", "copying", "completed", "failed"]
Method = Literal["ctid", "keyset", "whole"]


class Stripe(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a table that is copied from its beginning to its end, in order.

    ``at``: everything up to it is delivered, None: nothing is. ``end``: where the next stripe begins, None: there is
    none. ``is_done``: all of it is delivered.
    """

    at: Cursor | None = None
    end: Cursor | None = None
    is_done: bool = False


class TableCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one table of a job is. ``schema``: of MySQL, the database.

    ``plan`` is what the source has to know to go on after a restart, in its own form; ``planned_count`` is how often
    that was made: a table that is planned again starts again. ``reread``: row keys of rows that have to be read once
    more. ``is_emptied``: sinks were told that the table is empty, before its first row.
    ``estimated_rows`` is for people.
    """

    schema: str
    name: str
    status: TableStatus = "waiting"
    method: Method = "whole"
    plan: str = ""
    planned_count: int = 0
    stripes: tuple[Stripe, ...] = ()
    reread: tuple[str, ...] = ()
    is_emptied: bool = False
    row_count: int = 0
    byte_count: int = 0
    chunk_count: int = 0
    dropped_count: int = 0
    reread_count: int = 0
    estimated_rows: int | None = None
    fraction: float = 0.0
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.status in {"completed", "failed"}


class SnapshotJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request to copy tables. ``where``: which rows, None: all. ``sinks``: ids of those that get them, None: all.
    Times are in milliseconds since the epoch, 0: not yet. ``change_id``: of the :class:`JobChange` that it saw last.
    """

    id: str
    kind: JobKind
    tables: tuple[TableCopy, ...]
    status: JobStatus = "running"
    where: str | None = None
    sinks: tuple[str, ...] | None = None
    max_rows_per_second: int | None = None
    truncate_first: bool = False
    requested_ms: int = 0
    began_ms: int = 0
    ended_ms: int = 0
    error: str | None = None
    change_id: str = ""


class JobChange(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked for last of a job: to be paused, to run again, or to be cancelled.

    Attributes:
        id: Of the job.
        change_id: Of this; a saved job that has it has seen it.
        asked_ms: When, in milliseconds since the epoch.
    """

    id: str
    change_id: str
    status: Literal["running", "paused", "cancelled"]
    asked_ms: int
    v: int = 1


class SnapshotState(msgspec.Struct, frozen=True, omit_defaults=True):
    """All jobs of a source. ``number`` is that of the last chunk that was handed out: chunks of all jobs are numbered
    in the order of their delivery, and no number is used twice. ``ended``: jobs that are over, the newest last.
    """

    number: int = 0
    jobs: tuple[SnapshotJob, ...] = ()
    ended: tuple[SnapshotJob, ...] = ()


class ChunkMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a batch of copied rows is: chunk ``number``, which holds the rows of a stripe behind ``low`` up to ``high``.

    ``low``: None at the beginning of the table; ``high``: None at its end. ``reread``: instead, it holds the rows with
    these row keys. ``empties``: instead, it says that the table is empty, before its first row. ``sinks``: as in its
    job.
    """

    number: int
    job: str
    schema: str
    table: str
    stripe: int = 0
    low: Cursor | None = None
    high: Cursor | None = None
    reread: tuple[str, ...] = ()
    sinks: tuple[str, ...] | None = None
    empties: bool = False

    def is_for(self, sink_id: str) -> bool:
        """Whether a sink gets it."""
        return self.sinks is None or sink_id in self.sinks
