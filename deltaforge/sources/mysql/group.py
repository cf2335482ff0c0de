"""The rows of a row event as a group: the kernel's, or one of the Python decoders with the same attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from deltaforge.core.batch import DecodedGroup, EventGroup, HeldEvents
from deltaforge.core.event import ChangeEvent, Op
from deltaforge.kernel import backend, compiled
from deltaforge.kernel.backend import RowGroup as KernelGroup
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.sources.mysql.event_mapper import CapturedTable
from deltaforge.sources.python_rows import PythonReason


class EventPlace(NamedTuple):
    """Where a row event stands.

    Attributes:
        pos: Where it ends.
        begin_pos: Where it begins; 0 if that is not known.
        query: The statement that it is of, if somebody asks for it.
    """

    ts_ms: int
    server_id: int
    file: str
    pos: int
    begin_pos: int = 0
    query: str | None = None


OPS: dict[str, Op] = {"write": "c", "update": "u", "partial_update": "u", "delete": "d"}


class RawRows:
    """A row event with its place, as an :class:`EventMapper` wants it."""

    def __init__(
        self,
        table: CapturedTable,
        rows: Rows,
        transaction: OpenTransaction,
        place: EventPlace,
        op: Op | None = None,
    ) -> None:
        self.table = table
        self.rows = rows
        self.op = op or OPS[rows.kind]
        self.transaction = transaction
        self.ordinal = transaction.ordinal
        self.ts_ms, self.server_id, self.file, self.pos, self.begin_pos, self.query = EventPlace(*place)


class RowGroup(RawRows, HeldEvents):
    """The rows of one row event, decoded at once; see :class:`deltaforge.core.batch.EventGroup`."""

    def __init__(
        self,
        table: CapturedTable,
        rows: Rows,
        transaction: OpenTransaction,
        place: EventPlace,
        op: Op | None = None,
    ) -> None:
        RawRows.__init__(self, table, rows, transaction, place, op)
        counted = table.decoder.null_date_count
        HeldEvents.__init__(self, table.mapper.events(self))
        self.null_date_count = table.decoder.null_date_count - counted

    def where(self, wants: Callable[[ChangeEvent], bool]) -> RowGroup | None:
        return self if wants(self.head()) else None


class VersionedGroup(DecodedGroup):
    """What a row event means for the current rows of a system-versioned table."""

    __slots__ = ("null_date_count",)

    def __init__(self, events: Sequence[ChangeEvent], null_date_count: int) -> None:
        super().__init__(events)
        self.null_date_count = null_date_count


TableGroup: TypeAlias = "RowGroup | VersionedGroup | KernelGroup"
"""The rows of one row event."""


def op_counts(group: TableGroup) -> Iterable[tuple[str, int]]:
    """The ops of a row group's events, and how many have each."""
    if isinstance(group, VersionedGroup):
        return Counter(event.op for event in group.events()).items()
    return ((group.op, group.event_count),)


def row_group(table: CapturedTable, rows: Rows, transaction: OpenTransaction, place: EventPlace) -> TableGroup | None:
    """The group of a row event; None if it is about the history of rows alone.

    Raises:
        ProtocolError: The bytes break the format.
    """
    if table.is_versioned:
        counted = table.decoder.null_date_count
        events = table.mapper.versioned_events(RawRows(table, rows, transaction, place))
        table.mapper.count_python_rows("versioned_table", len(events))
        return VersionedGroup(events, table.decoder.null_date_count - counted) if events else None
    group = backend.mysql_group(table, rows, transaction, *place)
    if group is not None:
        return group
    decoded = RowGroup(table, rows, transaction, place)
    table.mapper.count_python_rows(_reason(rows), decoded.event_count)
    return decoded


def copied_rows(
    table: CapturedTable, images: bytes, transaction: OpenTransaction, place: EventPlace
) -> list[EventGroup]:
    """Copied rows as groups of op ``r``; none if there is no row.

    Args:
        table: Whose rows they are.
        images: The rows one behind the other as in a write event that holds all columns.
        transaction: Its ``ids`` are those that the table is copied under; its ``ordinal`` tells chunks apart.
        place: When and where they were read.

    Raises:
        ProtocolError: The bytes break the format.
    """
    if not images:
        return []
    columns = len(table.columns)
    group = backend.mysql_copied_rows(table, images, transaction, *EventPlace(*place)[:4])
    if group is not None:
        return [group]
    rows = Rows("write", 0, columns, 0, (1 << columns) - 1, images, 0)
    decoded = RowGroup(table, rows, transaction, place, "r")
    table.mapper.count_python_rows(_reason(rows), decoded.event_count)
    return [decoded]


def _reason(rows: Rows) -> PythonReason:
    """Why the kernel did not take rows that the Python decoders understand."""
    if compiled is None:
        return "no_kernel"
    return "partial_json" if rows.kind == "partial_update" else "column_type"
