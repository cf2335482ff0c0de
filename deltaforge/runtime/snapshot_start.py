"""Which tables a start has to copy: by the document, for sinks that are new, after a reset. Plain data.

The jobs are in the first state that the run saves, beside the position and the sinks that it knows. So they are either
there after a crash, or the next start comes to the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from deltaforge.core.snapshot import JobKind, SnapshotJob, SnapshotState, TableCopy

SnapshotMode = Literal["initial", "always", "never"]


def snapshots_at_start(
    saved: SnapshotState | None,
    mode: SnapshotMode,
    new_job: Callable[[JobKind], SnapshotJob],
    *,
    new_sinks: Sequence[str] = (),
    is_asked: bool = False,
) -> SnapshotState:
    """The jobs that a start goes on with, and those that it begins.

    Args:
        saved: What was saved; None: nothing, or no table was ever to be copied.
        mode: Of the document. ``initial``: once, and again the tables that failed. ``always``: at each start, unless
            a copy is under way.
        new_job: Makes one of all tables for all sinks.
        new_sinks: Ids of those that get a copy of their own.
        is_asked: A reset wants all tables copied.
    """
    state = saved or SnapshotState()
    tables = () if is_asked else _wanted(state, mode)
    is_under_way = any(job.kind == "initial" for job in state.jobs)
    jobs = list(state.jobs)
    if tables is not None and (is_asked or not is_under_way):
        jobs.append(msgspec.structs.replace(new_job("initial"), tables=tables))
    if new_sinks:
        jobs.append(msgspec.structs.replace(new_job("new_sink"), sinks=tuple(new_sinks)))
    return msgspec.structs.replace(state, jobs=tuple(jobs))


def _wanted(state: SnapshotState, mode: SnapshotMode) -> tuple[TableCopy, ...] | None:
    """The tables of an initial job, () for all of them; None: no such job is wanted."""
    last = next((job for job in reversed(state.ended) if job.kind == "initial"), None)
    if mode == "never":
        return None
    if mode == "always" or last is None:
        return ()
    if last.status != "failed":
        return None
    return tuple(TableCopy(table.schema, table.name) for table in last.tables if table.status != "completed")
