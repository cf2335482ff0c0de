"""From pgoutput messages to change events."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import ProtocolError, SchemaError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_parse import parse_json_stored
from deltaforge.core.positions.postgres import text_from_lsn
from deltaforge.kernel import backend
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.postgres.messages import (
    Begin,
    Delete,
    Ignored,
    Insert,
    LogicalMessage,
    Message,
    Relation,
    Truncate,
    TypeName,
    Update,
)
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.definitions import definition_of, point_of, row_key_of, signature_of
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper, RowPlace

log = logging.getLogger(__name__)

MAX_LSN = (1 << 64) - 1
CONNECTOR = "postgresql"
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})


def captured_tables(tables: Sequence[str]) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(tables, system=SYSTEM_SCHEMAS, default_qualifier="public")


class MessageMapper:
    """Turns the messages of one connection into events. Keeps relations and the open transaction.

    Attributes:
        tables: Relations by oid; None for those that are not captured. One that was just described is made, and
            registered, with its first row: a relation message does not say where it stands.
        begun: The begin of the newest transaction.
        transaction: What its event ids are made of.
        lsn: Of its commit, as text; ``lsn_bytes`` for the kernel.
        id_origin: What the event ids of all transactions are made of, up to that text.

    Args:
        pipeline: ``metadata.name``, the ``source.name`` of events.
        tenant: ``metadata.tenant``.
        tables: Patterns of the captured tables.
        outbox: Patterns of outbox message prefixes; None without an outbox.
        catalog: For types and primary keys.
        registry: Of the source.
        system_id: The server's system identifier, part of every event id.
        keeps_marker: See :class:`EventMapper`.
    """

    def __init__(  # noqa: PLR0913 - what identifies a connection's events
        self,
        *,
        pipeline: str,
        tenant: str,
        tables: list[str],
        outbox: list[str] | None,
        catalog: Catalog,
        registry: SchemaRegistry,
        system_id: str,
        keeps_marker: bool = False,
    ) -> None:
        self.patterns = captured_tables(tables)
        self._outbox = TablePatterns(outbox) if outbox is not None else None
        self._catalog = catalog
        self._database = catalog.database()
        self._registry = registry
        self._system_id = system_id
        self.id_origin = f"{CONNECTOR}|{system_id}|".encode()
        self._mapper = EventMapper(pipeline, tenant, self._database, keeps_marker=keeps_marker)
        self.tables: dict[int, CapturedTable | None] = {}
        self._described: dict[int, Relation] = {}
        self._ahead: list[int] = []
        self.begun: Begin | None = None
        self.transaction: OpenTransaction  # from the first begin on
        self.lsn = ""
        self.lsn_bytes = b""
        self.schema_misses = 0

    def begin(self, begin: Begin) -> None:
        """A transaction starts."""
        while self._ahead and self._ahead[0] <= begin.commit_lsn:
            del self._ahead[0]
            for oid in self._described:
                self.tables.pop(oid, None)
        self.begun = begin
        self.lsn = text_from_lsn(begin.commit_lsn)
        self.lsn_bytes = self.lsn.encode()
        self.transaction = backend.Transaction(CONNECTOR, self._system_id, self.lsn, "", None)

    @property
    def ahead(self) -> int:
        """The first commit LSN at which :meth:`begin` has more to do than to note the transaction."""
        return self._ahead[0] if self._ahead else MAX_LSN

    def captures(self, schema: str, name: str) -> bool:
        """Whether the document asks for this table."""
        return self.patterns.matches(schema, name)

    def look_ahead(self, lsn: int) -> None:
        """Note what is registered at the place where the reading stands and behind it: transactions that are committed
        there look for the versions of their rows again.
        """
        point = point_of(lsn - 1, 0, self._system_id)  # a reload of a quiet database stands where the reading does
        self._ahead = sorted({commit_lsn for commit_lsn, _ in self._registry.starts_after(point)})

    def relation(self, relation: Relation) -> None:
        """A table definition, valid for the rows after it."""
        if not self.patterns.matches(relation.schema, relation.name):
            self.tables[relation.oid] = None
            return
        known = self.tables.get(relation.oid)
        if known is None or known.relation != relation:
            self._described[relation.oid] = relation
            self.tables.pop(relation.oid, None)
        elif relation.identity == "f":  # an equal one may come because the primary key has changed
            self._compare_key(relation, known.registered)

    def events(self, message: Message, lsn: int = 0) -> Iterator[ChangeEvent]:
        """The events of a message inside the open transaction; none for tables that are not captured.

        Args:
            message: A row, a TRUNCATE or a logical message.
            lsn: Where it stands in the WAL.

        Raises:
            ProtocolError: A value is not in the form its type prints; names table and column.
            SchemaError: A row of a relation that was never described.
        """
        self._begun()
        if isinstance(message, TypeName | Ignored):
            # Sent with the first row of a table that a connection sees: event ids must not count them.
            if isinstance(message, TypeName):
                self._catalog.note_type(message)
            return
        self.transaction.ordinal += 1
        if isinstance(message, Insert | Update | Delete):
            table = self._known(message.relation, lsn)
            if table:
                yield self._mapper.row(table, message, self._place())
        elif isinstance(message, Truncate):
            yield from self._truncated(message, lsn)
        elif isinstance(message, LogicalMessage):
            yield from self._message(message)

    def standalone(self, message: LogicalMessage, commit_ms: int) -> Iterator[ChangeEvent]:
        """The event of a message that belongs to no transaction: it is one of its own.

        Args:
            message: The log holds no time of it.
            commit_ms: That of the newest transaction before it.
        """
        self.begin(Begin(message.lsn, commit_ms, 0))
        # A message ends where the next record begins, which may be the commit of a transaction: ids are not of that.
        self.transaction = backend.Transaction(CONNECTOR, self._system_id, f"{self.lsn}|message", "", None)
        yield from self.events(message)

    def _known(self, oid: int, lsn: int) -> CapturedTable | None:
        try:
            return self.tables[oid]
        except KeyError:
            pass
        relation = self._described.get(oid)
        if relation is None:
            raise SchemaError(f"row of relation {oid}, which the server has not described")
        table = self.tables[oid] = self._table(relation, lsn)
        return table

    def _table(self, relation: Relation, lsn: int) -> CapturedTable:
        self.schema_misses += 1
        types = self._catalog.types([column.type_oid for column in relation.columns])
        if relation.identity != "f":
            log.warning(
                "table %s.%s has no REPLICA IDENTITY FULL: before images hold the key at most",
                relation.schema,
                relation.name,
                extra={"table": f"{relation.schema}.{relation.name}"},
            )
        return CapturedTable(relation, self._version(relation, lsn), types, self._mapper)

    def _version(self, relation: Relation, lsn: int) -> SchemaVersion:
        """The registered version of rows at a place. What is not in the log is that of the version, and of the
        catalog as it is now only for a version that is new.
        """
        begun = self._begun()
        point = point_of(begun.commit_lsn, lsn, self._system_id, begun.xid)
        known = self._registry.resolve((relation.schema, relation.name), signature_of(relation), point)
        catalog = self._catalog
        if known is not None:
            if relation.identity == "f":
                self._compare_key(relation, known)
            return known
        key = row_key_of(relation, catalog.primary_key(relation), is_hidden=catalog.hides_key(relation))
        defined = catalog.column_definitions(relation)
        definition = definition_of(self._database, relation, catalog.type_names(relation), defined, key)
        return self._registry.register(definition, point)

    def _compare_key(self, relation: Relation, known: SchemaVersion) -> None:
        """Say so if the primary key is another one now. Where that began is not in the log."""
        key = row_key_of(relation, self._catalog.primary_key(relation))
        if key != known.schema.primary_key:
            log.warning(
                "table %s.%s has REPLICA IDENTITY FULL, and its primary key is (%s) now; its events keep the key (%s)"
                " until its definition is reloaded: do that once the pipeline has caught up",
                relation.schema,
                relation.name,
                ", ".join(key),
                ", ".join(known.schema.primary_key),
                extra={"table": f"{relation.schema}.{relation.name}"},
            )

    def _truncated(self, message: Truncate, lsn: int) -> Iterator[ChangeEvent]:
        detail = {"sql": "TRUNCATE", "cascade": message.cascade, "restart_identity": message.restart_identity}
        for number, oid in enumerate(message.relations):
            table = self._known(oid, lsn)
            if table is not None:
                event = self._mapper.truncate(table, self._place(), number)
                event.ddl = detail
                yield event

    def _message(self, message: LogicalMessage) -> Iterator[ChangeEvent]:
        try:
            content = parse_json_stored(message.content.decode())
        except (ProtocolError, UnicodeDecodeError):
            log.warning("logical message of prefix %s is not JSON and is left out", message.prefix)
            return
        is_outbox = self._outbox is not None and self._outbox.matches("*", message.prefix)
        schema = "__outbox" if is_outbox else "__wal_message"
        yield self._mapper.message(schema, message.prefix, content, self._place())

    def _place(self) -> RowPlace:
        begun = self._begun()
        return RowPlace(self.transaction, self.transaction.ordinal, begun.commit_ms, begun.xid, self.lsn)

    def _begun(self) -> Begin:
        if self.begun is None:
            raise ProtocolError("row outside of a transaction")
        return self.begun
