"""The rows of a row event as a group: the kernel's, or one of the Python decoders with the same attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from deltaforge.core.batch import HeldEvents
from deltaforge.core.event import ChangeEvent, Op
from deltaforge.protocol.kernel import kernel
from deltaforge.protocol.mysql.rows import Rows

if TYPE_CHECKING:
    from deltaforge.sources.mysql.tables import CapturedTable

OPS: dict[str, Op] = {"write": "c", "update": "u", "partial_update": "u", "delete": "d"}


class RowGroup(HeldEvents):
    """The rows of one row event, decoded at once; see :class:`deltaforge.core.batch.EventGroup`."""

    def __init__(self, table: CapturedTable, rows: Rows, transaction: Any, place: tuple[int, int, str, int]) -> None:
        self.table = table
        self.rows = rows
        self.op = OPS[rows.kind]
        self.transaction = transaction
        self.ordinal = transaction.ordinal
        self.ts_ms, self.server_id, self.file, self.pos = place
        counted = table.decoder.null_date_count
        super().__init__(table.maker.events(self))
        self.null_date_count = table.decoder.null_date_count - counted

    def where(self, wants: Callable[[ChangeEvent], bool]) -> RowGroup | None:
        return self if wants(self.head()) else None


def row_group(table: CapturedTable, rows: Rows, transaction: Any, place: tuple[int, int, str, int]) -> Any:
    """The group of a row event. ``place``: time in ms, server id, file, end position.

    Raises:
        ProtocolError: The bytes break the format.
    """
    if table.plan is not None and kernel is not None:
        group = kernel.mysql_group(table, rows, transaction, *place)
        if group is not None:
            return group
    return RowGroup(table, rows, transaction, place)
