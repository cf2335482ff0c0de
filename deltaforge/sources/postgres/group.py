"""Copied rows as groups: the kernel's, or one of the Python decoders with the same attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from deltaforge.core.batch import EventGroup, HeldEvents
from deltaforge.core.event import ChangeEvent, Op
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.kernel import backend
from deltaforge.kernel.backend import CopyData
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.sources.postgres.event_mapper import CapturedTable
from deltaforge.sources.python_rows import PythonReason

FRAME_BYTES = 25
"""What stands before a message in a block of the kernel."""

Inserts: TypeAlias = "CopyData | Sequence[bytes]"
"""``Insert`` messages: a block of the kernel, with frames as in a replication stream; else plain messages."""


class CopiedGroup(HeldEvents):
    """Copied rows, decoded at once; see :class:`deltaforge.core.batch.EventGroup`."""

    op: Op = "r"
    xid = 0

    def __init__(
        self, table: CapturedTable, messages: list[bytes], transaction: OpenTransaction, ts_ms: int, lsn: str
    ) -> None:
        self.table = table
        self.messages = messages
        self.transaction = transaction
        self.ordinal = transaction.ordinal
        self.ts_ms, self.lsn = ts_ms, lsn
        self.message_lsns = [lsn_from_text(lsn)] * len(messages)
        super().__init__(table.mapper.events(self))

    def where(self, wants: Callable[[ChangeEvent], bool]) -> CopiedGroup | None:
        return self if wants(self.head()) else None


def copied_rows(
    table: CapturedTable, inserts: Inserts, transaction: OpenTransaction, ts_ms: int, lsn: str
) -> list[EventGroup]:
    """Copied rows as groups of op ``r``; none if there is no row.

    Args:
        table: Whose rows they are.
        inserts: The rows, all of this table: their relation is not looked at.
        transaction: Its ``ids`` are those that the table is copied under; its ``ordinal`` tells chunks apart.
        ts_ms: When they were read.
        lsn: Where.

    Raises:
        ProtocolError: The bytes break the format.
    """
    reason: PythonReason = "no_kernel"
    if isinstance(inserts, Sequence):
        messages = list(inserts)
    else:
        group = backend.postgres_copied_rows(table, inserts, transaction, ts_ms, lsn)
        if group is not None:
            return [group]
        messages, reason = [inserts.message(n)[FRAME_BYTES:] for n in range(inserts.count)], "value"
    if not messages:
        return []
    decoded = CopiedGroup(table, messages, transaction, ts_ms, lsn)
    table.mapper.count_python_rows(reason, decoded.event_count)
    return [decoded]
