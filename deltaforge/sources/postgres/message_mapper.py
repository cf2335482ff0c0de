"""From pgoutput messages to change events."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import ProtocolError, SchemaError
from deltaforge.core.event import ChangeEvent, LoggedMessage
from deltaforge.core.json_parse import parse_json_stored
from deltaforge.core.positions.postgres import text_from_lsn
from deltaforge.kernel import backend, compiled
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.postgres.messages import (
    Begin,
    Delete,
    Ignored,
    Insert,
    LogicalMessage,
    Message,
    Truncate,
    TypeName,
    Update,
)
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper, RowPlace

log = logging.getLogger(__name__)

CONNECTOR = "postgresql"


class MessageMapper:
    """Turns the messages of one connection into events. Keeps the open transaction, and asks no server.

    Attributes:
        begun: The begin of the newest transaction.
        transaction: What its event ids are made of.
        lsn: Of its commit, as text; ``lsn_bytes`` for the kernel.
        last_commit: Where the newest transaction ended, of those that were sent; 0 when that is not known.
        id_origin: What the event ids of all transactions are made of, up to that text.

    Args:
        mapper: Makes the events.
        tables: Captured tables by oid, None for those that are not captured; see :class:`Relations`.
        outbox: Patterns of outbox message prefixes; None without an outbox.
        system_id: The server's system identifier, part of every event id.
        tells_all: Whether messages that are no JSON are events too.
    """

    def __init__(
        self,
        mapper: EventMapper,
        tables: Mapping[int, CapturedTable | None],
        outbox: Sequence[str] | None,
        system_id: str,
        *,
        tells_all: bool = False,
    ) -> None:
        self._tells_all = tells_all
        self._mapper, self._tables = mapper, tables
        self._outbox = TablePatterns(outbox) if outbox is not None else None
        self._system_id = system_id
        self.id_origin = f"{CONNECTOR}|{system_id}|".encode()
        self.begun: Begin | None = None
        self.transaction: OpenTransaction  # from the first begin on
        self.lsn = ""
        self.lsn_bytes = b""
        self.last_commit = 0

    def begin(self, begin: Begin) -> None:
        """A transaction starts."""
        self.begun = begin
        self.lsn = text_from_lsn(begin.commit_lsn)
        self.lsn_bytes = self.lsn.encode()
        self.transaction = backend.Transaction(CONNECTOR, self._system_id, self.lsn, "", begin.commit_us)
        self.transaction.last_commit_lsn = self.last_commit

    def opened(self) -> Begin:
        """The begin of the transaction that a message is in.

        Raises:
            ProtocolError: It is in none.
        """
        if self.begun is None:
            raise ProtocolError("row outside of a transaction")
        return self.begun

    def events(self, message: Message, lsn: int) -> Iterator[ChangeEvent]:
        """The events of a message inside the open transaction; none for tables that are not captured.

        Args:
            message: A row, a TRUNCATE or a logical message.
            lsn: Its own.

        Raises:
            ProtocolError: A value is not in the form its type prints; names table and column.
            SchemaError: A row of a relation that was not defined.
        """
        self.opened()
        if isinstance(message, TypeName | Ignored):
            return  # sent with the first row of a table that a connection sees: event ids must not count them
        self.transaction.ordinal += 1
        if isinstance(message, Insert | Update | Delete):
            table = self._table(message.relation)
            if table:
                self._mapper.count_python_rows("no_kernel" if compiled is None else "first_row", 1)
                yield self._mapper.row(table, message, self._place(lsn))
        elif isinstance(message, Truncate):
            yield from self._truncated(message, self._place(lsn))
        elif isinstance(message, LogicalMessage):
            yield from self._message(message, self._place(lsn))

    def standalone(self, message: LogicalMessage, commit_ms: int) -> Iterator[ChangeEvent]:
        """The event of a message that belongs to no transaction: it is one of its own.

        Args:
            message: The log holds no time of it.
            commit_ms: That of the newest transaction before it.
        """
        self.begin(Begin(message.lsn, commit_ms * 1000, 0))
        self.last_commit = message.lsn
        # A message ends where the next record begins, which may be the commit of a transaction: ids are not of that.
        self.transaction = backend.Transaction(CONNECTOR, self._system_id, f"{self.lsn}|message", "", None)
        self.transaction.last_commit_lsn = self.last_commit
        yield from self.events(message, message.lsn)

    def _table(self, oid: int) -> CapturedTable | None:
        try:
            return self._tables[oid]
        except KeyError:
            raise SchemaError(f"row of relation {oid}, which was not defined") from None

    def _truncated(self, message: Truncate, place: RowPlace) -> Iterator[ChangeEvent]:
        detail = {"sql": "TRUNCATE", "cascade": message.cascade, "restart_identity": message.restart_identity}
        for number, oid in enumerate(message.relations):
            table = self._table(oid)
            if table is not None:
                truncated = self._mapper.truncate(table, place, number)
                truncated.ddl = detail
                yield truncated

    def _message(self, message: LogicalMessage, place: RowPlace) -> Iterator[ChangeEvent]:
        found = LoggedMessage(message.prefix, message.content, message.is_transactional)
        try:
            content = parse_json_stored(message.content.decode())
        except (ProtocolError, UnicodeDecodeError):
            log.warning("logical message of prefix %s is not JSON and is left out of native documents", message.prefix)
            if self._tells_all:
                yield self._mapper.message("__wal_message", None, found, place, notice="message")
            return
        is_outbox = self._outbox is not None and self._outbox.matches("*", message.prefix)
        schema = "__outbox" if is_outbox else "__wal_message"
        yield self._mapper.message(schema, content, found, place)

    def _place(self, lsn: int) -> RowPlace:
        begun = self.opened()
        return RowPlace(self.transaction, self.transaction.ordinal, begun.commit_ms, begun.xid, self.lsn, lsn)
