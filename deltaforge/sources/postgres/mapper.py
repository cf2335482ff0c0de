"""From pgoutput messages to change events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from deltaforge import __version__
from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import DeltaForgeError, ProtocolError, SchemaError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, EventIds, Op, RowImage, SourceInfo, Transaction
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.lsn import text_from_lsn
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.postgres.messages import (
    UNCHANGED,
    Begin,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Relation,
    Truncate,
    Tuple,
    Update,
)
from deltaforge.protocol.postgres.values import resolve_decoder
from deltaforge.sources.postgres.catalog import Catalog

log = logging.getLogger(__name__)

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
VERSION = f"deltaforge-{__version__}"


class _Table(msgspec.Struct, frozen=True):
    """A captured relation, ready to decode rows."""

    relation: Relation
    schema: TableSchema
    version: str
    columns: tuple[tuple[str, Callable[[str], Any]], ...]


class Mapper:
    """Turns the messages of one connection into events. Keeps relations and the open transaction.

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
        self._pipeline = pipeline
        self._tenant = tenant
        self._patterns = TablePatterns(tables, system=SYSTEM_SCHEMAS, default_qualifier="public")
        self._outbox = TablePatterns(outbox) if outbox is not None else None
        self._catalog = catalog
        self._database = catalog.database()
        self._system_id = system_id
        self._tables: dict[int, _Table | None] = {}
        self._begin: Begin | None = None
        self._ids: EventIds | None = None
        self._lsn = ""
        self._ordinal = 0
        self.schema_misses = 0

    def begin(self, begin: Begin) -> None:
        """A transaction starts."""
        self._begin = begin
        self._lsn = text_from_lsn(begin.commit_lsn)
        self._ids = EventIds.of("postgresql", self._system_id, self._lsn)
        self._ordinal = 0

    def relation(self, relation: Relation) -> None:
        """A table definition, valid for the rows after it."""
        if not self._patterns.matches(relation.schema, relation.name):
            self._tables[relation.oid] = None
            return
        known = self._tables.get(relation.oid)
        if known is None or known.relation != relation:
            self.schema_misses += 1
            self._tables[relation.oid] = self._table(relation)

    def events(self, message: Message) -> Iterator[ChangeEvent]:
        """The events of a message inside the open transaction; none for tables that are not captured.

        Raises:
            ProtocolError: A value is not in the form its type prints; names table and column.
            SchemaError: A row of a relation that was never described.
        """
        self._ordinal += 1
        if isinstance(message, Insert):
            table = self._known(message.relation)
            if table:
                yield self._row(table, "c", None, _image(table, message.new))
        elif isinstance(message, Update):
            table = self._known(message.relation)
            if table:
                before = None if message.old is None else _image(table, message.old)
                yield self._row(table, "u", before, _image(table, message.new))
        elif isinstance(message, Delete):
            table = self._known(message.relation)
            if table:
                yield self._row(table, "d", _image(table, message.old), None)
        elif isinstance(message, Truncate):
            yield from self._truncated(message)
        elif isinstance(message, LogicalMessage):
            yield from self._message(message)

    def standalone(self, message: LogicalMessage, now_ms: int) -> Iterator[ChangeEvent]:
        """The event of a message that belongs to no transaction: it is one of its own."""
        self.begin(Begin(message.lsn, now_ms, 0))
        yield from self.events(message)

    def _table(self, relation: Relation) -> _Table:
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
        decoders = tuple((column.name, resolve_decoder(column.type_oid, types)) for column in relation.columns)
        return _Table(relation, schema, schema.fingerprint(), decoders)

    def _known(self, oid: int) -> _Table | None:
        try:
            return self._tables[oid]
        except KeyError:
            raise SchemaError(f"row of relation {oid}, which the server has not described") from None

    def _row(self, table: _Table, op: Op, before: RowImage | None, after: RowImage | None) -> ChangeEvent:
        name = table.schema.table
        event = self._event(self._source(name.schema or "", name.name), op, 0)
        event.before, event.after = before, after
        event.schema, event.schema_version = table.schema, table.version
        return event

    def _truncated(self, message: Truncate) -> Iterator[ChangeEvent]:
        detail = {"sql": "TRUNCATE", "cascade": message.cascade, "restart_identity": message.restart_identity}
        for row, oid in enumerate(message.relations):
            table = self._known(oid)
            if table is None:
                continue
            name = table.schema.table
            event = self._event(self._source(name.schema or "", name.name), "t", row)
            event.ddl = detail
            event.schema, event.schema_version = table.schema, table.version
            yield event

    def _message(self, message: LogicalMessage) -> Iterator[ChangeEvent]:
        try:
            content = parse_json_exact(message.content.decode())
        except (ProtocolError, UnicodeDecodeError):
            log.warning("logical message of prefix %s is not JSON and is left out", message.prefix)
            return
        is_outbox = self._outbox is not None and self._outbox.matches("*", message.prefix)
        event = self._event(self._source("__outbox" if is_outbox else "__wal_message", message.prefix), "c", 0)
        event.after = content
        yield event

    def _source(self, schema: str, table: str) -> SourceInfo:
        begin = self._open()
        return SourceInfo(
            version=VERSION,
            connector="postgresql",
            name=self._pipeline,
            ts_ms=begin.commit_ms,
            db=self._database,
            schema=schema,
            table=table,
            lsn=self._lsn,
            txId=begin.xid or UNSET,
        )

    def _event(self, source: SourceInfo, op: Op, row: int) -> ChangeEvent:
        begin = self._open()
        return ChangeEvent(
            before=None,
            after=None,
            source=source,
            op=op,
            ts_ms=begin.commit_ms,
            transaction=Transaction(str(begin.xid)) if begin.xid else None,
            event_id=self._ids.at(self._ordinal, row) if self._ids else None,
            tenant_id=self._tenant,
        )

    def _open(self) -> Begin:
        if self._begin is None:
            raise ProtocolError("row outside of a transaction")
        return self._begin


def _image(table: _Table, values: Tuple) -> RowImage:
    columns = table.columns
    if len(values) != len(columns):
        raise SchemaError(f"row of {table.schema.table.qualified} has {len(values)} values, expected {len(columns)}")
    image: RowImage = {}
    for (name, decode), value in zip(columns, values, strict=True):
        if value is None:
            image[name] = None
        elif value is UNCHANGED:
            image[name] = UNCHANGED_TOAST
        else:
            try:
                image[name] = decode(value.decode())
            except (DeltaForgeError, UnicodeDecodeError) as exc:
                raise ProtocolError(
                    f"column {name} of {table.schema.table.qualified} cannot be decoded: {exc}"
                ) from exc
    return image
