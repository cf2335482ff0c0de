"""Table definitions, and what is known of the tables of a server at one place of its log."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import TableId, TableSchema
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.schema.versions import Definition, LogPoint
from deltaforge.sources.mysql.fingerprint import fingerprint_of

Key = tuple[str, str]


class TableDefinition(msgspec.Struct, frozen=True):
    """A table definition with everything that its table map may leave out, in column order.

    ``charset`` is the default of columns that are added later.
    """

    schema: TableSchema
    columns: tuple[ColumnType, ...]
    charset: str | None = None

    def named(self, key: Key) -> TableDefinition:
        """The same table under another name."""
        schema = msgspec.structs.replace(self.schema, table=TableId(key[0], None, key[1]))
        return msgspec.structs.replace(self, schema=schema)


class Unknown(msgspec.Struct, frozen=True):
    """A table is there, but its definition is not known. ``reason`` says why, with the statement."""

    reason: str


State = TableDefinition | Unknown | None
"""What is known of a table; None: there is none of that name."""


class Changes(msgspec.Struct):
    """What a statement changes.

    Attributes:
        tables: By name.
        charsets: Default character sets of databases; None: the database is gone.
        temporary: Connection and name of temporary tables, and whether they are there now.
    """

    tables: dict[Key, State] = msgspec.field(default_factory=dict)
    charsets: dict[str, str | None] = msgspec.field(default_factory=dict)
    temporary: dict[tuple[int, Key], bool] = msgspec.field(default_factory=dict)


class Definitions:
    """The tables of a server and the default character sets of its databases; ``""`` is the server itself.

    Each change costs what it changes, however many tables there are.

    Args:
        folds_names: Whether names of databases and tables are equal whatever their case.
    """

    def __init__(self, *, folds_names: bool = False) -> None:
        self.folds_names = folds_names
        self._tables: dict[Key, TableDefinition | Unknown] = {}
        self._names: dict[str, dict[str, None]] = {}
        self._charsets: dict[str, str | None] = {}
        self._temporary: set[tuple[int, Key]] = set()

    def key(self, db: str, table: str) -> Key:
        """Under which a table of this name is kept."""
        return (db.lower(), table.lower()) if self.folds_names else (db, table)

    def table(self, key: Key) -> State:
        """What is known of a table."""
        return self._tables.get(key)

    def tables_in(self, db: str) -> list[Key]:
        """Every table of a database."""
        return [(db, name) for name in self._names.get(db, ())]

    def has_database(self, db: str) -> bool:
        """Whether there is such a database."""
        return db in self._charsets or bool(self._names.get(db))

    @property
    def temporary(self) -> frozenset[tuple[int, Key]]:
        """Connection and name of every temporary table in the log."""
        return frozenset(self._temporary)

    def is_temporary(self, thread: int, key: Key) -> bool:
        """Whether a connection means a temporary table of its own by this name, not the table that has rows."""
        return (thread, key) in self._temporary

    def charset_of(self, db: str) -> str | None:
        """The default character set of a database."""
        return self._charsets.get(db)

    def mentioned_in(self, text: str) -> list[Key]:
        """Tables whose name stands somewhere in a text. Looks at all of them."""
        text = text.lower()
        return [key for key in self._tables if key[1].lower() in text]

    def apply(self, changes: Changes) -> None:
        """Make changes."""
        self._put(changes.tables)
        for table, is_there in changes.temporary.items():
            (self._temporary.add if is_there else self._temporary.discard)(table)
        for db, charset in changes.charsets.items():
            if charset is None:
                self._charsets.pop(db, None)
            else:
                self._charsets[db] = charset

    def _put(self, tables: Mapping[Key, State]) -> None:
        for key, state in tables.items():
            if state is None:
                self._tables.pop(key, None)
                self._names.get(key[0], {}).pop(key[1], None)
            else:
                self._tables[key] = state
                self._names.setdefault(key[0], {})[key[1]] = None


def point_of(position: MysqlPosition, server_uuid: str) -> LogPoint:
    """A place in this server's log. Rows stand at the end of their row event, so behind a position before it."""
    place = msgspec.structs.replace(position, server_uuid=server_uuid, gtid_set="")  # a set may be long
    return LogPoint(server_uuid, position.order, place)


def definition_of(schema: TableSchema, *, is_mariadb: bool) -> Definition:
    """A definition for the registry: the log of MySQL shows everything that the fingerprint is made of."""
    fingerprint = fingerprint_of(schema, is_mariadb=is_mariadb)
    return Definition(schema, fingerprint, fingerprint)
