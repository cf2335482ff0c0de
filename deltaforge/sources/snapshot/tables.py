"""One table while it is copied: what of it was asked for, and what was read and not delivered yet."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deltaforge.core.errors import SourceError
from deltaforge.core.event import EventIds
from deltaforge.core.retry import Backoff
from deltaforge.core.snapshot import Cursor, SnapshotJob, Stripe, TableCopy
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot.base import TablePlan
from deltaforge.sources.snapshot.tasks import PlanTable, ReadChunk, SplitStripe, Task

MAX_CHUNK_BYTES = 64 << 20
"""Where a read is cut at the latest."""
CHUNK_BYTES = 4 << 20
"""What a chunk should take at most, by the size of the rows that were seen."""
FIRST_ROWS = 1000
"""Rows of the first chunk of a table of which nobody knows how large its rows are."""
REREAD_KEYS = 1000
UNSETTLED = Backoff(initial_secs=0.01, max_secs=0.5, jitter=0.1)
REST = "the rest of a transaction that was being read when the connection was lost, or any other transaction"
RETRY = Backoff(initial_secs=1.0, max_secs=60.0)


@dataclass(frozen=True)
class Captured:
    """A table as the stream decodes it, and how often its definition had changed when that was made."""

    table: Any
    definition_count: int


@dataclass
class StripeRun:
    """A stripe, in this run.

    Attributes:
        read_to: Everything up to it was read, delivered or not.
        is_small: Not worth being divided.
        fraction: About how much of it is delivered.
    """

    read_to: Cursor | None
    end: Cursor | None
    is_read: bool = False
    is_busy: bool = False
    is_small: bool = False
    fraction: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether a worker may read on in it."""
        return not self.is_read and not self.is_busy


@dataclass
class Wait:
    """Why and until when a table is left alone, and how often already."""

    until: float = 0.0
    began_at: float = 0.0
    reason: str = ""
    _delays: Iterator[float] | None = None

    def again(self, policy: Backoff, now: float, reason: str) -> None:
        """Try again later, each time a little more so."""
        if self._delays is None:
            self._delays, self.began_at = policy.delays(random.Random()), now
        self.until, self.reason = now + next(self._delays), reason

    def over(self) -> None:
        """It went well."""
        self.until, self.reason, self._delays = 0.0, "", None


@dataclass
class TableRun:
    """A table of the running job.

    Attributes:
        is_begun: Whether rows of it were asked for, now or before a restart.
        round: Chunks that were asked for in an earlier one are worth nothing.
        reread_busy: Whether rows are being read again, or are read and not delivered.
        must_empty: Whether sinks are to be told first that it is empty.
        refusals: How often a chunk was thrown away since the log had changes in a table without a key.
    """

    name: TableName
    transaction: str
    ids: EventIds | None = None
    captured: Captured | None = None
    plan: TablePlan | None = None
    stripes: list[StripeRun] = field(default_factory=list)
    round: int = 0
    is_begun: bool = False
    is_planning: bool = False
    wants_split: bool = False
    reread_busy: bool = False
    busy_count: int = 0
    row_bytes: float = 0.0
    must_empty: bool = False
    refusals: int = 0
    wait: Wait = field(default_factory=Wait)
    reread_wait: Wait = field(default_factory=Wait)

    @classmethod
    def of(cls, job: SnapshotJob, copy: TableCopy) -> TableRun:
        """As it goes on from a state."""
        run = cls((copy.schema, copy.name), f"snapshot|{job.id}|{copy.schema}.{copy.name}")
        run.must_empty = job.truncate_first and not copy.is_emptied
        if copy.plan:
            run.restored(copy)
        return run

    @property
    def title(self) -> str:
        return ".".join(self.name)

    def planned(self, plan: TablePlan) -> None:
        """It begins, or begins again."""
        self.plan, self.is_begun = plan, False
        if plan.estimated_rows and plan.estimated_bytes:
            self.row_bytes = plan.estimated_bytes / plan.estimated_rows
        self.rewind(plan.stripes)

    def restored(self, copy: TableCopy) -> None:
        """It goes on where a saved state says."""
        self.plan = TablePlan(self.name, copy.method, copy.plan, copy.stripes, copy.estimated_rows)
        self.is_begun = copy.status == "copying"
        self.rewind(copy.stripes)

    def rewind(self, stripes: Sequence[Stripe]) -> None:
        """Read again what is not delivered."""
        self.round += 1
        self.stripes = [StripeRun(stripe.at, stripe.end, is_read=stripe.is_done) for stripe in stripes]
        self.reread_busy, self.busy_count, self.wants_split = False, 0, False

    def split(self, number: int, at: Cursor | None) -> None:
        """A stripe ends at a cursor now, and another one begins there; None: it is not worth being divided."""
        stripe = self.stripes[number]
        stripe.is_busy, stripe.is_small = False, at is None
        if at is not None:
            self.stripes.append(StripeRun(at, stripe.end))
            stripe.end = at

    def released(self, task: Task) -> None:
        """Nobody is busy with what was asked for any more."""
        if isinstance(task, PlanTable):
            self.is_planning = False
        elif isinstance(task, SplitStripe):
            self.stripes[task.number].is_busy = False
        elif isinstance(task, ReadChunk):
            self.busy_count -= 1
            if task.stripe is None:
                self.reread_busy = False
            else:
                self.stripes[task.stripe].is_busy = False

    def to_plan(self) -> None:
        """What is known of it is worth nothing now."""
        self.captured, self.plan, self.is_planning, self.is_begun = None, None, False, False
        self.rewind(())

    def known(self) -> tuple[TablePlan, Any, EventIds]:
        """What a chunk is asked for with: plan, table as the stream decodes it, ids."""
        if self.plan is None or self.captured is None or self.ids is None:
            raise SourceError(f"{self.title} is not planned", kind="other")
        return self.plan, self.captured.table, self.ids

    def max_rows(self, bound: int) -> int:
        """Of the next chunk."""
        return max(1, min(bound, int(CHUNK_BYTES / self.row_bytes) if self.row_bytes else FIRST_ROWS))

    def fraction(self, copy: TableCopy, row_count: int) -> float | None:
        """About how much of the table is delivered with so many rows more."""
        known = [
            1.0 if stripe.is_done else run.fraction for stripe, run in zip(copy.stripes, self.stripes, strict=True)
        ]
        if any(known):
            return sum(known) / len(known)
        return min(0.99, (copy.row_count + row_count) / copy.estimated_rows) if copy.estimated_rows else None

    def note_size(self, row_count: int, byte_count: int) -> None:
        """What the rows of a chunk took."""
        if row_count:
            size = byte_count / row_count
            self.row_bytes = size if not self.row_bytes else (self.row_bytes + size) / 2


class Waits:
    """What has to be waited for, by table; None: for the whole job. ``troubles`` are shown at once."""

    def __init__(self) -> None:
        self._waits: dict[TableName | None, str] = {}
        self._troubles: dict[TableName | None, str] = {}

    def wait(self, table: TableName, reason: str) -> None:
        """Something that usually comes soon."""
        self._waits[table] = reason

    def trouble(self, table: TableName | None, reason: str) -> None:
        """An error, which may pass."""
        self._troubles[table] = reason

    def over(self, table: TableName | None) -> None:
        """It came."""
        self._waits.pop(table, None)
        self._troubles.pop(table, None)

    def reason(self, *, is_long: bool) -> str | None:
        """The first of them, in words. ``is_long``: nothing was delivered for a while."""
        reasons = {**(self._waits if is_long else {}), **self._troubles}
        table, reason = next(iter(reasons.items()), (None, None))
        return f"{'.'.join(table)}: {reason}" if table else reason
