"""What a source gives to the copying of its tables: a reader of chunks, and marks that say what a chunk has seen.

A commit stands in the log before others can see it. So a chunk is never placed in the log by a position: its *mark*
says of a transaction whether the chunk has surely seen it, and its *high* position that the log has passed everything
that the chunk can have seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from deltaforge.core.batch import EventGroup
from deltaforge.core.event import EventIds, SourceInfo
from deltaforge.core.positions import Position
from deltaforge.core.snapshot import Cursor, Method, Stripe
from deltaforge.schema.registry import TableName

if TYPE_CHECKING:
    from deltaforge.sources.base import SourceContext


class Mark(Protocol):
    """What a chunk has seen."""

    @property
    def doubts_provisional(self) -> bool:
        """Whether the chunk has perhaps not seen any of :meth:`CopyableLog.provisional`, whatever ``sees`` says."""

    def sees(self, source: SourceInfo) -> bool:
        """Whether the chunk has surely seen the transaction of an event of the log. False if that is not sure."""


@dataclass(frozen=True)
class TablePlan:
    """How a table is copied.

    Attributes:
        detail: What :meth:`ChunkReader.read` has to know, in the form of the source: key, definition, files; saved.
        stripes: None of them read yet. All but the first begin ``at`` a cursor: the ``end`` of the one before.
        estimated_rows: None: nobody knows.
        warnings: What an operator should know before, as sentences.
    """

    table: TableName
    method: Method
    detail: str
    stripes: tuple[Stripe, ...]
    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    warnings: tuple[str, ...] = ()


class Kept(NamedTuple):
    """How much of its log a server keeps: for so long, and so many bytes; None: without such a bound."""

    secs: float | None = None
    byte_count: int | None = None


class Listed(NamedTuple):
    """The captured tables that are there, and how much of the log the server keeps while they are copied."""

    tables: list[TableName]
    kept: Kept


@dataclass(frozen=True)
class ChunkRequest:
    """What a worker is asked to read: rows of a stripe behind ``low``, up to ``end``; or the rows at ``reread``.

    Attributes:
        captured: The table as the stream has registered it, for rows of a snapshot: ``LogStream.tables_to_copy``.
        transaction: Name of the transaction that copied rows are shown as, the same for all chunks of a job and table.
        ids: The ids of that transaction: they tell rows of the job and table apart.
        max_rows, max_bytes: When the chunk is full. It may end before ``end`` then.
        high: The chunk that is read again must end exactly there: it was delivered before a restart. None: wherever.
        reread: Row keys as events have them (:func:`deltaforge.core.routing.row_key`). Those that are gone are left
            out. The groups are as those of a stripe.
    """

    plan: TablePlan
    captured: Any
    transaction: str
    ids: EventIds
    low: Cursor | None
    end: Cursor | None
    max_rows: int
    max_bytes: int
    where: str | None = None
    high: Cursor | None = None
    reread: tuple[Cursor, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Rows that were read in one statement or short transaction.

    Attributes:
        rows: Groups of op ``r``; empty if there is none.
        reached: The cursor of the last row that was looked at; None: the end of the request.
        mark: What it has seen.
        high: The log has passed everything that the chunk can have seen once it is read up to here.
        fraction: About how much of the stripe lies before ``reached``; None: unknown.
    """

    request: ChunkRequest
    rows: Sequence[EventGroup]
    reached: Cursor | None
    mark: Mark
    high: Position
    row_count: int
    byte_count: int
    fraction: float | None = None


class ChunkReader(Protocol):
    """A connection that reads chunks. Used by one thread at a time; opened by its first use, and again after an error.

    All methods raise SourceError with the kind that says whether a retry can help.
    """

    def tables(self) -> list[TableName]:
        """The captured tables that are there.

        Raises:
            SourceError: A table, right or setting makes a snapshot impossible; says which, and what to do.
        """

    def plan(self, table: TableName, *, where: str | None, stripe_count: int) -> TablePlan:
        """How to copy a table, in about so many stripes.

        Raises:
            TableChangedError: There is no such table.
            SourceError: It cannot be copied; ``where`` is not understood.
        """

    def read(self, request: ChunkRequest) -> Chunk:
        """Read a chunk to its end, in one statement or short read-only transaction.

        Raises:
            TableChangedError: Its definition or files are not those of the plan.
        """

    def unsettled(self, mark: Mark, since: object) -> str | None:
        """What has to be waited for, since the chunk may not have seen a transaction that was delivered before notes
        were taken (``LogStream.since``), in words; None if it has seen all of them.
        """

    def split(self, plan: TablePlan, stripe: Stripe) -> Cursor | None:
        """A cursor about in the middle of what is left of a stripe; None if it is not worth it."""

    def kept(self) -> Kept:
        """How much of its log the server keeps for a reader that is behind."""

    def close(self) -> None:
        """Disconnect. Never raises."""


class CopyableLog(Protocol):
    """What a log stream does for the copying of tables, on the thread that reads the log."""

    def tables_to_copy(self, tables: Sequence[TableName]) -> dict[TableName, Any]:
        """Register what the catalog says now of these tables, and what decodes their rows in a snapshot: captured
        tables as in groups of the log, with an equal version. Those that are gone are left out.

        Raises:
            SourceError: The catalog cannot be read.
        """

    def since(self) -> object:
        """What was delivered before now, for :meth:`ChunkReader.unsettled`. Called when notes begin to be taken."""

    def server(self) -> str:
        """Which server, and which history of it, is read: marks and row ids of another one mean nothing."""

    def ids_of(self, transaction: str) -> EventIds:
        """The event ids of a transaction of this name, as of one of the log of this server."""

    def definition_count(self, table: TableName) -> int:
        """How often this connection has met a change of the definition of a table, or its end."""

    @property
    def provisional(self) -> Collection[str]:
        """Transactions that this connection has met and that the log may take back later, by what the ids of their
        events begin with. The same object each time: it grows.
        """

    def hasten(self, position: Position) -> None:
        """A chunk waits for the log to be read up to here: on a quiet server, ask for it rather than wait."""


class CopyableSource(Protocol):
    """A source whose tables can be copied."""

    def chunk_reader(self, context: SourceContext) -> ChunkReader:
        """A reader of chunks, not connected. The registry of ``context`` is not for its thread."""


def copyable(stream: object) -> CopyableLog:
    """A log stream as one that helps to copy its tables, which all real ones are."""
    return cast("CopyableLog", stream)
