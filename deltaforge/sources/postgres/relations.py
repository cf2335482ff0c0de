"""The relations that a connection has described, and the captured tables that are made of them.

What pgoutput says of a relation is not all that its rows depend on: the rest is looked up in the catalog, and this is
the only place between the log and the events that does so.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SchemaError
from deltaforge.protocol.postgres.messages import Begin, Delete, Insert, Message, Relation, Truncate, TypeName, Update
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.definitions import (
    definition_of,
    point_of,
    row_key_of,
    signature_of,
    with_underlying,
)
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper

log = logging.getLogger(__name__)

MAX_LSN = (1 << 64) - 1
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})


def captured_tables(tables: Sequence[str]) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(tables, system=SYSTEM_SCHEMAS, default_qualifier="public")


class Relations:
    """The relations of one connection.

    Attributes:
        patterns: Of the captured tables.
        tables: Captured tables by oid; None for those that are not captured. One that was just described is made, and
            registered, with its first row: a relation message does not say where it stands.
        misses: How many were made.
        changes: How often a table of this name was described in another way than before, or got another name.

    Args:
        tables: Patterns of the captured tables.
        catalog: For types and primary keys.
        registry: Of the source.
        system_id: The server's system identifier.
        mapper: Makes the events of the tables.
    """

    def __init__(
        self, tables: Sequence[str], catalog: Catalog, registry: SchemaRegistry, system_id: str, mapper: EventMapper
    ) -> None:
        self.patterns = captured_tables(tables)
        self._catalog, self._registry = catalog, registry
        self._system_id, self._mapper = system_id, mapper
        self.tables: dict[int, CapturedTable | None] = {}
        self.misses = 0
        self.changes: Counter[TableName] = Counter()
        self._names: dict[int, TableName] = {}
        self._shown: dict[TableName, tuple[int, str]] = {}
        self._described: dict[int, Relation] = {}
        self._loosened: set[int] = set()
        self._ahead: list[int] = []

    @property
    def ahead(self) -> int:
        """The first commit LSN of which :meth:`reach` has to be told."""
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

    def reach(self, commit_lsn: int) -> None:
        """A transaction begins: what is registered up to its commit is valid for its rows."""
        while self._ahead and self._ahead[0] <= commit_lsn:
            del self._ahead[0]
            for oid in self._described:
                self.tables.pop(oid, None)

    def note_type(self, name: TypeName) -> None:
        """Remember what the stream says of a type, for when the catalog does not know it any more."""
        self._catalog.note_type(name)

    def describe(self, relation: Relation) -> None:
        """A table definition, valid for the rows after it."""
        self._compare(relation)
        if not self.patterns.matches(relation.schema, relation.name):
            self.tables[relation.oid] = None
            return
        known = self.tables.get(relation.oid)
        if known is None or known.relation != relation:
            self._described[relation.oid] = relation
            self.tables.pop(relation.oid, None)
        else:  # an equal one may come because what it does not say has changed
            if relation.identity == "f":
                self._compare_key(relation, known.registered)
            if self._may_be_null_now(relation, known.registered):
                self._loosened.add(relation.oid)
                self._described[relation.oid] = relation
                self.tables.pop(relation.oid)

    def _compare(self, relation: Relation) -> None:
        name = relation.schema, relation.name
        last = self._names.get(relation.oid, name)
        if last != name:
            self.changes[last] += 1
        shown = relation.oid, signature_of(relation)
        if self._shown.get(name, shown) != shown:
            self.changes[name] += 1
        self._names[relation.oid], self._shown[name] = name, shown

    def copied(self, tables: Mapping[TableName, CapturedTable]) -> None:
        """What the catalog says of tables that are copied: they have changed if the log describes them otherwise."""
        for name, table in tables.items():
            relation = table.relation
            self._names[relation.oid], self._shown[name] = name, (relation.oid, signature_of(relation))

    def undefined(self, message: Message) -> Iterator[int]:
        """The relations of a message that have to be defined before its events can be made."""
        if isinstance(message, Insert | Update | Delete):
            if message.relation not in self.tables:
                yield message.relation
        elif isinstance(message, Truncate):
            yield from (oid for oid in message.relations if oid not in self.tables)

    def define(self, oid: int, begun: Begin, lsn: int) -> None:
        """Make the captured table of a relation, with what only the catalog says.

        Args:
            oid: Of the relation.
            begun: The transaction of its first row.
            lsn: Where that row stands in the WAL.

        Raises:
            SchemaError: It was never described.
            SourceError: The catalog cannot be read.
        """
        relation = self._described.get(oid)
        if relation is None:
            raise SchemaError(f"row of relation {oid}, which the server has not described")
        self.misses += 1
        types = self._catalog.types([column.type_oid for column in relation.columns])
        if relation.identity != "f":
            log.warning(
                "table %s.%s has no REPLICA IDENTITY FULL: before images hold the key at most",
                relation.schema,
                relation.name,
                extra={"table": f"{relation.schema}.{relation.name}"},
            )
        self.tables[oid] = CapturedTable(relation, self._version(relation, begun, lsn), types, self._mapper)

    def _version(self, relation: Relation, begun: Begin, lsn: int) -> SchemaVersion:
        """The registered version of rows at a place. What is not in the log is that of the version, and of the
        catalog as it is now only for a version that is new.
        """
        point = point_of(begun.commit_lsn, lsn, self._system_id, begun.xid)
        known = self._registry.resolve((relation.schema, relation.name), signature_of(relation), point)
        catalog = self._catalog
        # what was altered since a definition that a copy noted ahead made the table be forgotten, no message says
        is_newest = known is not None and self._registry.latest((relation.schema, relation.name)) == known
        is_asked = is_newest or relation.oid in self._loosened
        self._loosened.discard(relation.oid)
        if known is not None and not (is_asked and self._may_be_null_now(relation, known)):
            if relation.identity == "f":
                self._compare_key(relation, known)
            return with_underlying(known, catalog.underlying_types(relation))
        if known is None:
            key = row_key_of(relation, catalog.primary_key(relation), is_hidden=catalog.hides_key(relation))
        else:
            key = known.schema.primary_key
        defined = catalog.column_definitions(relation)
        types = list(zip(catalog.type_names(relation), catalog.underlying_types(relation), strict=True))
        definition = definition_of(self._mapper.database, relation, types, defined, key)
        if known is None:
            return self._registry.register(definition, point)
        self._registry.record([definition], point)
        return self._registry.at_point((relation.schema, relation.name), point) or known

    def _may_be_null_now(self, relation: Relation, known: SchemaVersion) -> bool:
        """Whether a column of a definition that must not be null may be null now."""
        defined = self._catalog.column_definitions(relation)
        return any(
            not column.nullable and column.name in defined and defined[column.name].nullable
            for column in known.schema.columns
        )

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
