"""What worker threads are asked to do over their connections, and how they do it."""

from __future__ import annotations

from dataclasses import dataclass

from deltaforge.core.errors import SourceError
from deltaforge.core.snapshot import ChunkMark, Cursor, Stripe
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot.base import Chunk, ChunkReader, ChunkRequest, Listed, Mark, TablePlan


@dataclass(frozen=True)
class ListTables:
    """Which tables there are, and whether they may be copied at all."""

    epoch: int

    def do(self, reader: ChunkReader) -> Listed:
        return Listed(reader.tables(), reader.kept())


@dataclass(frozen=True)
class PlanTable:
    """How a table is to be copied."""

    epoch: int
    table: TableName
    round: int
    where: str | None
    stripe_count: int

    def do(self, reader: ChunkReader) -> TablePlan:
        return reader.plan(self.table, where=self.where, stripe_count=self.stripe_count)


@dataclass(frozen=True)
class SplitStripe:
    """Where a stripe could be cut in two. ``stripe`` is what is left of it to read."""

    epoch: int
    table: TableName
    round: int
    number: int
    plan: TablePlan
    stripe: Stripe

    def do(self, reader: ChunkReader) -> Cursor | None:
        return reader.split(self.plan, self.stripe)


@dataclass(frozen=True)
class ReadDone:
    """A chunk, and what it has to wait for: it may not have seen all that was delivered before notes were taken."""

    chunk: Chunk
    unsettled: str | None = None


@dataclass(frozen=True)
class ReadChunk:
    """The next rows of a stripe, or rows that have to be read again.

    Attributes:
        epoch: Of the job: what was asked for in an earlier one is worth nothing.
        round: Of the table, likewise.
        stripe: Its number; None: rows to be read again.
        floor: What the chunk has seen at least; None: nobody knows.
        since: What was delivered before notes were taken.
        again: The chunk was delivered before a restart, as this.
    """

    epoch: int
    table: TableName
    round: int
    stripe: int | None
    request: ChunkRequest
    floor: Mark | None
    since: object
    again: ChunkMark | None = None

    def do(self, reader: ChunkReader) -> ReadDone:
        """Read it.

        Raises:
            SourceError: As :meth:`ChunkReader.read`.
        """
        chunk = reader.read(self.request)
        wanted = self.request.high
        if wanted is not None and (chunk.reached or self.request.end) != wanted:
            raise SourceError(f"a chunk of {'.'.join(self.table)} did not end where it ended before", kind="other")
        return ReadDone(chunk, reader.unsettled(chunk.mark, self.since))


Task = ListTables | PlanTable | SplitStripe | ReadChunk
Result = Listed | TablePlan | Cursor | ReadDone | None
