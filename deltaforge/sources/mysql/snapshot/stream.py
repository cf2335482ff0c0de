"""The stream of a source whose tables can be copied."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import closing
from functools import partial

from deltaforge.core.event import EventIds
from deltaforge.core.positions import MysqlPosition, Position
from deltaforge.protocol.mysql.events import ARTIFICIAL, OUTSIDE, decode_header
from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.client import connect, execute
from deltaforge.sources.mysql.event_mapper import CapturedTable
from deltaforge.sources.mysql.snapshot.log import tables_to_copy
from deltaforge.sources.mysql.snapshot.marks import Since, prepared_xa
from deltaforge.sources.mysql.stream import MysqlStream

_TYPE_AT = 4


class CopyableMysqlStream(MysqlStream):
    """A :class:`~deltaforge.sources.snapshot.base.CopyableLog`."""

    _passed = MysqlPosition("", 4)
    """The end of the last event that stands in no transaction. All before it was read, now or earlier."""

    def tables_to_copy(self, tables: Sequence[TableName]) -> dict[TableName, CapturedTable]:
        self._statements.definitions.watch(tables)
        dsn = self._config.dsn.get_secret_value()
        return tables_to_copy(dsn, self._server, self._context.registry, self._mapper, tables)

    def since(self) -> Since:
        place = self._position()
        with closing(connect(self._config.dsn.get_secret_value())) as connection:
            return Since(place, prepared_xa(partial(execute, connection)))

    def server(self) -> str:
        return self._server.uuid

    def ids_of(self, transaction: str) -> EventIds:
        return EventIds.of("mysql", self._server.uuid, transaction)

    def definition_count(self, table: TableName) -> int:
        return self._statements.definitions.of(table)

    @property
    def provisional(self) -> Collection[str]:
        return self._statements.xa.provisional

    def hasten(self, position: Position) -> None:
        """Where the log ends with events that stand in no transaction, none will move the position there."""
        if isinstance(position, MysqlPosition) and self._tx is None and not self._begun_events:
            reached = max(MysqlPosition(self._file, self._end_pos).order, self._passed.order)
            if reached >= position.order > self._resume.order:
                self._resume = MysqlPosition(position.file, position.pos)
                self._batcher.end_transaction(time.monotonic())

    def _on_event(self, data: bytes, now: float) -> None:
        super()._on_event(data, now)
        if data[_TYPE_AT] in OUTSIDE:
            header = decode_header(data)
            if header.log_pos and not header.flags & ARTIFICIAL:
                self._passed = MysqlPosition(self._file, header.log_pos)
