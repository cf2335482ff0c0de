"""How the state of snapshots changes, one change at a time. Nothing here is done, only noted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from deltaforge.core.snapshot import ChunkMark, JobChange, JobStatus, SnapshotJob, SnapshotState, Stripe, TableCopy
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot.base import TablePlan

KEPT_ENDED = 100
"""So many jobs that are over stay in the state; those that say which tables are not new any more stay always."""


@dataclass(frozen=True)
class Delivered:
    """What a chunk brought.

    Attributes:
        dropped_count: Rows that were left out since the log had a newer version.
        reread: Row keys that have to be read again all the same.
        fraction: About how much of the table is copied with it; None: unknown.
    """

    row_count: int = 0
    byte_count: int = 0
    dropped_count: int = 0
    reread: tuple[str, ...] = ()
    fraction: float | None = None


def job_of(state: SnapshotState, job_id: str) -> SnapshotJob | None:
    """The job with an id, over or not."""
    return next((job for job in (*state.jobs, *state.ended) if job.id == job_id), None)


def table_of(job: SnapshotJob, table: TableName) -> TableCopy | None:
    """How far a table of a job is."""
    return next((copy for copy in job.tables if (copy.schema, copy.name) == table), None)


def requested(state: SnapshotState, job: SnapshotJob) -> SnapshotState:
    """A job is to be done, behind the others, or could not even begin; one that is known already stays as it is."""
    if job_of(state, job.id):
        return state
    if job.status in {"running", "paused"}:
        return replace(state, jobs=(*state.jobs, job))
    return replace(state, ended=(*state.ended, job))


def with_job(state: SnapshotState, job: SnapshotJob) -> SnapshotState:
    """A job that is not over, as it is now."""
    return replace(state, jobs=tuple(job if known.id == job.id else known for known in state.jobs))


def numbered(state: SnapshotState, number: int) -> SnapshotState:
    """A chunk with this number is handed out."""
    return replace(state, number=number)


def changed(state: SnapshotState, change: JobChange) -> SnapshotState:
    """A job is paused, runs again, or is cancelled; one that is over, or has seen the change, stays as it is."""
    job = next((job for job in state.jobs if job.id == change.id), None)
    if job is None or job.change_id == change.change_id:
        return state
    if change.status == "cancelled":
        seen = with_job(state, replace(job, change_id=change.change_id))
        return ended(seen, job.id, "cancelled", change.asked_ms)
    return with_job(state, replace(job, change_id=change.change_id, status=change.status))


def ended(state: SnapshotState, job_id: str, status: JobStatus, now_ms: int, error: str | None = None) -> SnapshotState:
    """A job is over: of its tables only names and counts stay."""
    job = next((job for job in state.jobs if job.id == job_id), None)
    if job is None:
        return state
    tables = tuple(map(_shrunk, job.tables))
    over = (*state.ended, replace(job, status=status, tables=tables, ended_ms=now_ms, error=error))
    kept = {*_telling(over), *(job.id for job in over[-KEPT_ENDED:])}
    return replace(
        state,
        jobs=tuple(known for known in state.jobs if known.id != job_id),
        ended=tuple(job for job in over if job.id in kept),
    )


def _telling(over: Sequence[SnapshotJob]) -> Iterator[str]:
    """The ids of jobs that say of a table that it is not new any more, and no later one does."""
    told: set[TableName] = set()
    for job in reversed(over):
        tables = {(copy.schema, copy.name) for copy in job.tables}
        if job.kind in {"initial", "new_table"} and (not told or not tables <= told):
            told |= tables
            yield job.id


def begun(job: SnapshotJob, tables: Iterable[TableName], now_ms: int) -> SnapshotJob:
    """A job begins. Tables that were asked for and are none of ``tables`` have failed; none asked for: all of them."""
    there = list(tables)
    copies = job.tables or tuple(TableCopy(schema, name) for schema, name in there)
    lost = "it is not captured, or does not exist: see the table patterns of the source"
    checked = tuple(
        copy if (copy.schema, copy.name) in there else replace(copy, status="failed", error=lost) for copy in copies
    )
    return replace(job, tables=checked, began_ms=now_ms)


def with_table(job: SnapshotJob, copy: TableCopy) -> SnapshotJob:
    """A table of the job, as it is now."""
    name = (copy.schema, copy.name)
    return replace(job, tables=tuple(copy if (known.schema, known.name) == name else known for known in job.tables))


def without_table(job: SnapshotJob, table: TableName) -> SnapshotJob:
    """A table is gone, and with it its copy."""
    return replace(job, tables=tuple(known for known in job.tables if (known.schema, known.name) != table))


def planned(copy: TableCopy, plan: TablePlan) -> TableCopy:
    """A table begins, or begins again: what was copied of it before may have been truncated or defined anew."""
    return TableCopy(
        schema=copy.schema,
        name=copy.name,
        method=plan.method,
        plan=plan.detail,
        planned_count=copy.planned_count + 1,
        stripes=plan.stripes,
        chunk_count=copy.chunk_count,
        dropped_count=copy.dropped_count,
        reread_count=copy.reread_count,
        estimated_rows=plan.estimated_rows,
        reread=copy.reread,
        is_emptied=copy.is_emptied,
    )


def split(copy: TableCopy, stripe: int, at: str) -> TableCopy:
    """The rest of a stripe behind ``at`` becomes a stripe of its own."""
    parent = copy.stripes[stripe]
    stripes = list(copy.stripes)
    stripes[stripe] = replace(parent, end=at)
    return replace(copy, stripes=(*stripes, Stripe(at=at, end=parent.end)))


def to_reread(copy: TableCopy, keys: Iterable[str]) -> TableCopy:
    """Rows that have to be read again, besides those known already."""
    added = tuple(dict.fromkeys(key for key in keys if key not in set(copy.reread)))
    return replace(copy, reread=(*copy.reread, *added)) if added else copy


def delivered(copy: TableCopy, mark: ChunkMark, what: Delivered) -> TableCopy:
    """A chunk of a table left for the sinks."""
    stripes = list(copy.stripes)
    read = set(mark.reread)
    if not read:
        stripe = stripes[mark.stripe]
        stripes[mark.stripe] = replace(stripe, at=mark.high, is_done=mark.high == stripe.end)
    after = replace(
        copy,
        status="copying",
        stripes=tuple(stripes),
        reread=tuple(key for key in copy.reread if key not in read),
        row_count=copy.row_count + what.row_count,
        byte_count=copy.byte_count + what.byte_count,
        chunk_count=copy.chunk_count + 1,
        dropped_count=copy.dropped_count + what.dropped_count,
        reread_count=copy.reread_count + (what.row_count if read else 0),
        fraction=copy.fraction if what.fraction is None else max(copy.fraction, what.fraction),
    )
    return to_reread(after, what.reread)


def is_copied(copy: TableCopy) -> bool:
    """Whether nothing of a table that was planned is left to be read."""
    return bool(copy.stripes) and all(stripe.is_done for stripe in copy.stripes) and not copy.reread


def completed(copy: TableCopy) -> TableCopy:
    """All of a table is copied."""
    return replace(_shrunk(copy), status="completed", fraction=1.0)


def failed(copy: TableCopy, error: str) -> TableCopy:
    """A table cannot be copied."""
    return replace(_shrunk(copy), status="failed", error=error)


def outcome(tables: Sequence[TableCopy]) -> tuple[JobStatus, str | None]:
    """How a job ends whose tables are all over, and why it failed."""
    wrong = [copy for copy in tables if copy.status == "failed"]
    if not wrong:
        return "completed", None
    first = f"{wrong[0].schema}.{wrong[0].name}: {wrong[0].error}"
    return "failed", first if len(wrong) == 1 else f"{first}; and {len(wrong) - 1} more tables"


def _shrunk(copy: TableCopy) -> TableCopy:
    return replace(copy, plan="", stripes=(), reread=())
