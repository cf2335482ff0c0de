"""From pgoutput messages to change events."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import ProtocolError, SchemaError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.lsn import text_from_lsn
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.postgres.messages import (
    Begin,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Relation,
    Truncate,
    Update,
)
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.maker import CapturedTable, EventMaker, Place
from deltaforge.sources.transaction import new_transaction

log = logging.getLogger(__name__)

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})


class Mapper:
    """Turns the messages of one connection into events. Keeps relations and the open transaction.

    Attributes:
        tables: Relations by oid; None for those that are not captured.
        begun: The begin of the newest transaction.
        transaction: What its event ids are made of.
        lsn: Of its commit, as text; ``lsn_bytes`` for the kernel.

    Args:
        pipeline: ``metadata.name``, the ``source.name`` of events.
        tenant: ``metadata.tenant``.
        tables: Patterns of the captured tables.
        outbox: Patterns of outbox message prefixes; None without an outbox.
        catalog: For types and primary keys.
        system_id: The server's system identifier, part of every event id.
    """

    def __init__(  # noqa: PLR0913 - what identifies a connection's events
        self,
        *,
        pipeline: str,
        tenant: str,
        tables: list[str],
        outbox: list[str] | None,
        catalog: Catalog,
        system_id: str,
    ) -> None:
        self._patterns = TablePatterns(tables, system=SYSTEM_SCHEMAS, default_qualifier="public")
        self._outbox = TablePatterns(outbox) if outbox is not None else None
        self._catalog = catalog
        self._database = catalog.database()
        self._system_id = system_id
        self._maker = EventMaker(pipeline, tenant, self._database)
        self.tables: dict[int, CapturedTable | None] = {}
        self.begun: Begin | None = None
        self.transaction: Any = None
        self.lsn = ""
        self.lsn_bytes = b""
        self.schema_misses = 0

    def begin(self, begin: Begin) -> None:
        """A transaction starts."""
        self.begun = begin
        self.lsn = text_from_lsn(begin.commit_lsn)
        self.lsn_bytes = self.lsn.encode()
        self.transaction = new_transaction("postgresql", self._system_id, self.lsn, "", None)

    def relation(self, relation: Relation) -> None:
        """A table definition, valid for the rows after it."""
        if not self._patterns.matches(relation.schema, relation.name):
            self.tables[relation.oid] = None
            return
        known = self.tables.get(relation.oid)
        if known is None or known.relation != relation:
            self.schema_misses += 1
            self.tables[relation.oid] = self._table(relation)

    def events(self, message: Message) -> Iterator[ChangeEvent]:
        """The events of a message inside the open transaction; none for tables that are not captured.

        Raises:
            ProtocolError: A value is not in the form its type prints; names table and column.
            SchemaError: A row of a relation that was never described.
        """
        if self.begun is None:
            raise ProtocolError("row outside of a transaction")
        self.transaction.ordinal += 1
        if isinstance(message, Insert | Update | Delete):
            table = self._known(message.relation)
            if table:
                yield self._maker.row(table, message, self._place())
        elif isinstance(message, Truncate):
            yield from self._truncated(message)
        elif isinstance(message, LogicalMessage):
            yield from self._message(message)

    def standalone(self, message: LogicalMessage, now_ms: int) -> Iterator[ChangeEvent]:
        """The event of a message that belongs to no transaction: it is one of its own."""
        self.begin(Begin(message.lsn, now_ms, 0))
        yield from self.events(message)

    def _table(self, relation: Relation) -> CapturedTable:
        types = self._catalog.types([column.type_oid for column in relation.columns])
        facts = self._catalog.column_facts(relation)
        names = {column.name for column in relation.columns}
        key = self._catalog.primary_key(relation)
        if not key or not names.issuperset(key):
            key = tuple(c.name for c in relation.columns if c.is_key) if relation.identity == "d" else ()
        columns = tuple(
            Column(
                column.name, text, not facts.get(column.name, (False, None))[0], facts.get(column.name, (0, None))[1]
            )
            for column, text in zip(relation.columns, self._catalog.type_names(relation), strict=True)
        )
        schema = TableSchema(TableId(self._database, relation.schema, relation.name), columns, key)
        if relation.identity != "f":
            log.warning(
                "table %s.%s has no REPLICA IDENTITY FULL: before images hold the key at most",
                relation.schema,
                relation.name,
                extra={"table": f"{relation.schema}.{relation.name}"},
            )
        return CapturedTable(relation, schema, types, self._maker)

    def _known(self, oid: int) -> CapturedTable | None:
        try:
            return self.tables[oid]
        except KeyError:
            raise SchemaError(f"row of relation {oid}, which the server has not described") from None

    def _truncated(self, message: Truncate) -> Iterator[ChangeEvent]:
        detail = {"sql": "TRUNCATE", "cascade": message.cascade, "restart_identity": message.restart_identity}
        for number, oid in enumerate(message.relations):
            table = self._known(oid)
            if table is not None:
                event = self._maker.truncate(table, self._place(), number)
                event.ddl = detail
                yield event

    def _message(self, message: LogicalMessage) -> Iterator[ChangeEvent]:
        try:
            content = parse_json_exact(message.content.decode())
        except (ProtocolError, UnicodeDecodeError):
            log.warning("logical message of prefix %s is not JSON and is left out", message.prefix)
            return
        is_outbox = self._outbox is not None and self._outbox.matches("*", message.prefix)
        schema = "__outbox" if is_outbox else "__wal_message"
        yield self._maker.message(schema, message.prefix, content, self._place())

    def _place(self) -> Place:
        if self.begun is None:
            raise ProtocolError("row outside of a transaction")
        return Place(self.transaction, self.transaction.ordinal, self.begun.commit_ms, self.begun.xid, self.lsn)
