"""The option ``truncate_first``: sinks are told that a table is empty, before its first copied row."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.event import ChangeEvent
from deltaforge.core.positions import Position
from deltaforge.core.snapshot import ChunkMark, SnapshotJob
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.chunks import batch_of
from deltaforge.sources.snapshot.ledger import Ledger
from deltaforge.sources.snapshot.tables import TableRun


def next_emptied(  # noqa: PLR0913 - what runs, and where
    tables: Sequence[TableRun],
    again: deque[ChunkMark],
    ledger: Ledger,
    job: SnapshotJob,
    position: Position,
    now: float,
) -> Batch | None:
    """The next truncation, with a number like a chunk's; None: none may leave now.

    Args:
        tables: Those of the job that are not over.
        again: Chunks that a sink has already: a truncation among them keeps its number and its turn.
        ledger: Notes that the table is empty.
        job: Theirs.
        position: Up to where the log has left.
        now: When it leaves.
    """
    if not job.truncate_first:
        return None
    for run in tables:
        if not run.must_empty or run.captured is None or run.plan is None:
            continue
        mark = _mark(run, again, ledger, job)
        if mark is not None:
            run.must_empty = False
            ledger.change_table(job.id, run.name, lambda copy: replace(copy, is_emptied=True))
            ledger.set(states.numbered(ledger.state, mark.number))
            return batch_of([DecodedGroup([_event(run, ledger.now_ms())])], mark, 0, position, now)
    return None


def _mark(run: TableRun, again: deque[ChunkMark], ledger: Ledger, job: SnapshotJob) -> ChunkMark | None:
    if again:
        mark = again[0]
        return again.popleft() if mark.empties and (mark.schema, mark.table) == run.name else None
    if not ledger.is_plan_saved(job.id, run.name, None):
        return None
    return ChunkMark(ledger.state.number + 1, job.id, *run.name, sinks=job.sinks, empties=True)


def _event(run: TableRun, now_ms: int) -> ChangeEvent:
    _, captured, ids = run.known()
    event: ChangeEvent = captured.mapper.event_of(captured, "t")
    event.source.snapshot = "true"
    event.source.ts_ms = event.ts_ms = now_ms
    event.event_id = ids.at(0)
    return event
