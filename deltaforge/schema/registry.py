"""The schema registry: every definition that rows were ever decoded with, by table and place in the log.

Contract 05 section 7, kept in the log of the storage backend. The key of a table holds the source id besides tenant,
database (PostgreSQL: schema) and table: positions of two sources cannot be compared, and a pipeline that is deleted
takes its definitions with it.

A version is compared with the one that is valid at the same place, not with all: a definition that comes back is a
new version, and a row that is read again finds the version it had the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import TableId
from deltaforge.schema.versions import (
    Definition,
    Described,
    LogPoint,
    Moved,
    Record,
    Registered,
    SchemaVersion,
    TableVersions,
)
from deltaforge.storage.base import Log

NAMESPACE = "schemas"
REMEDY = "restore the storage from a backup, or delete the pipeline and create it again"

TableName = tuple[str, str]
"""Database (PostgreSQL: schema) and table."""

_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Registered | Moved | Described)


def table_name(table: TableId) -> TableName:
    """How a table is found in the registry."""
    return table.schema or table.db, table.name


def key_prefix(tenant: str, source_id: str) -> str:
    """What the keys of a source's tables begin with."""
    return f"{quote(tenant, safe='')}/{quote(source_id, safe='')}/"


class SchemaRegistry:
    """The versions of one source's tables. Used by one thread at a time; only one process may register.

    Everything is in memory after the start; a registration is durable before the method returns.

    Args:
        log: Of the storage backend.
        tenant: ``metadata.tenant``.
        source_id: ``spec.source.config.id``.
        now: The time of registrations, in UTC.

    Raises:
        SchemaError: What is stored is torn or was not written by this version.
    """

    def __init__(
        self, log: Log, tenant: str, source_id: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._log = log
        self._now = now
        self._prefix = key_prefix(tenant, source_id)
        self._tables: dict[TableName, TableVersions] = {}
        for entry in log.list(NAMESPACE, self._prefix):
            try:
                db, _, table = entry.key[len(self._prefix) :].partition("/")
                name = (unquote(db), unquote(table))
                self._tables.setdefault(name, TableVersions()).apply(_decoder.decode(entry.val), entry.seq)
            except (msgspec.MsgspecError, ValueError) as exc:
                raise SchemaError(
                    f"entry {entry.seq} of the schema registry cannot be read: {exc}", hint=REMEDY
                ) from exc

    @property
    def tables(self) -> list[TableName]:
        """Every table of which something is registered, in order."""
        return sorted(self._tables)

    def versions(self, table: TableName) -> list[SchemaVersion]:
        """All versions of a table, the first one first."""
        known = self._tables.get(table)
        return list(known.all) if known else []

    def latest(self, table: TableName) -> SchemaVersion | None:
        """The version at the end of the log, as far as it is known."""
        known = self._tables.get(table)
        return known.latest if known else None

    def at_sequence(self, table: TableName, sequence: int) -> SchemaVersion | None:
        """The newest version that was registered up to an entry of the store's log."""
        known = self._tables.get(table)
        return known.at_sequence(sequence) if known else None

    def at_point(self, table: TableName, point: LogPoint) -> SchemaVersion | None:
        """The version that rows of a table have at a point."""
        known = self._tables.get(table)
        return known.valid_at(point) if known else None

    def starts_after(self, point: LogPoint) -> list[tuple[int, int]]:
        """Where versions of any table begin behind a point, in order: a reader that passes one of these must ask
        again for what it thought to know.
        """
        return sorted({order for table in self._tables.values() for order in table.starts_after(point)})

    def resolve(self, table: TableName, signature: str, point: LogPoint) -> SchemaVersion | None:
        """The version at a point, if it is the one that the log shows there."""
        known = self.at_point(table, point)
        return known if known is not None and known.signature == signature else None

    def register(self, definition: Definition, point: LogPoint) -> SchemaVersion:
        """The version of a definition that the log shows at a point; a new one if it has none.

        A definition that is known from further on (from the catalog, read while the log was behind) begins earlier
        than was known.

        Raises:
            StorageError: It cannot be stored.
        """
        table = table_name(definition.schema.table)
        known = self.resolve(table, definition.signature, point)
        if known is not None:
            return known
        versions = self._tables.get(table, TableVersions())
        following = versions.next_after(point)
        if following is not None and following.signature == definition.signature:
            record: Record = Moved(following.version, point)
        else:
            record = self._new(versions, definition, point)
        return self._append([(table, record)])[0]

    def record(self, definitions: Iterable[Definition], point: LogPoint, *, is_sure: bool = False) -> set[TableName]:
        """Take in what the catalog says at a point behind all that was read.

        A definition that the log has overruled before (the catalog writes a type in a way that is not understood,
        or shows columns that are not in the log) is left to the rows, unless ``is_sure``.

        Returns:
            The tables of which something is new.

        Raises:
            StorageError: It cannot be stored; nothing was taken in.
        """
        records = []
        for definition in definitions:
            table = table_name(definition.schema.table)
            record = self._difference(self._tables.get(table, TableVersions()), definition, point, is_sure=is_sure)
            if record is not None:
                records.append((table, record))
        self._append(records)
        return {table for table, _ in records}

    def _difference(
        self, versions: TableVersions, definition: Definition, point: LogPoint, *, is_sure: bool
    ) -> Record | None:
        known = versions.valid_at(point)
        if known is None or known.signature != definition.signature:
            is_overruled = any(version.signature == definition.signature for version in versions.all)
            return None if is_overruled and not is_sure else self._new(versions, definition, point)
        if known.hash != definition.hash:
            return self._new(versions, definition, point)
        return Described(known.version, definition.schema) if known.schema != definition.schema else None

    def _new(self, versions: TableVersions, definition: Definition, point: LogPoint) -> Registered:
        number = len(versions.all) + 1
        return Registered(number, definition.hash, definition.signature, definition.schema, point, self._now())

    def _append(self, records: list[tuple[TableName, Record]]) -> list[SchemaVersion]:
        entries = [(self._key(table), msgspec.json.encode(record)) for table, record in records]
        sequences = self._log.extend(NAMESPACE, entries) if entries else []
        return [
            self._tables.setdefault(table, TableVersions()).apply(record, sequence)
            for (table, record), sequence in zip(records, sequences, strict=True)
        ]

    def _key(self, table: TableName) -> str:
        return f"{self._prefix}{quote(table[0], safe='')}/{quote(table[1], safe='')}"
