"""The schema history: table definitions by position, for servers without full row metadata.

A row is decoded with the definition that was valid where it was written. What the log does not say is
known from the catalog at the first start and from the DDL since then. Places in the logs of two servers cannot be
compared: after a failover the definitions that were valid where reading goes on begin the history of the new server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from deltaforge.core.errors import CheckpointError, SchemaError
from deltaforge.core.position import MysqlPosition, log_order
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, NUMERIC, Code, ColumnType
from deltaforge.sources.mysql.catalog import Catalog
from deltaforge.sources.mysql.ddl import Changes, apply_ddl
from deltaforge.sources.mysql.ddl_table import TableDefinition
from deltaforge.sources.mysql.statement import Statement

REMEDY = "set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again"


class _Entry(msgspec.Struct, frozen=True):
    """One line of the file: from ``file``/``pos`` on the table is defined so; None: it is gone.

    Without ``table`` it is the default character set of a database, without ``db`` of the server. ``server`` is
    whose log it is; what was known of that log before a line that ``restarts`` is void.
    """

    file: str
    pos: int
    db: str
    table: str
    definition: TableDefinition | None = None
    charset: str | None = None
    server: str = ""
    restarts: bool = False

    @property
    def order(self) -> tuple[int, int]:
        return log_order(MysqlPosition(self.file, self.pos))


_decoder = msgspec.json.Decoder(_Entry)


class SchemaHistory:
    """Definitions of tables by position.

    Append-only JSON lines, fsynced before anything behind them is delivered; a torn last line is
    dropped. Replaying the log changes nothing: what is already known at a position stays.

    Args:
        path: The file; made when first written.
        captured: Whether ``(db, table)`` is captured. Other tables are followed too, as far as their DDL
            is understood: one of them may be renamed to a captured one.
    """

    def __init__(self, path: Path, captured: Callable[[str, str], bool]) -> None:
        self._path = path
        self._captured = captured
        self._server = ""
        self._by_server: dict[str, dict[tuple[str, str], list[_Entry]]] = {}
        self._load()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded: the server writes full row metadata."""
        return not self._entries

    @property
    def _entries(self) -> dict[tuple[str, str], list[_Entry]]:
        return self._by_server.setdefault(self._server, {})

    def arrive(self, server: str, position: MysqlPosition | None) -> None:
        """The log of this server is read from now on; ``position`` is where, in terms of the server it is of."""
        before = position.server_uuid if position is not None and position.server_uuid else server
        if "" in self._by_server and before not in self._by_server:  # written before servers were told apart
            self._by_server[before] = self._by_server.pop("")
        self._server = server
        if position is None or before == server:
            return
        order = log_order(position)
        known = self._by_server.get(before, {}).values()
        valid = [found[-1] for entries in known if (found := [entry for entry in entries if entry.order <= order])]
        carried = [msgspec.structs.replace(entry, file="", pos=0, server=server) for entry in valid]
        self._write([_Entry("", 0, "", "", server=server, restarts=True), *carried])

    def record(self, catalog: Catalog, position: MysqlPosition) -> None:
        """What the catalog says, valid from ``position`` on."""
        self._append(catalog, position)

    def apply(self, statement: Statement, position: MysqlPosition) -> None:
        """A DDL statement that ends at ``position``.

        Raises:
            SchemaError: It changes a captured table and is not understood.
        """
        if log_order(position) <= max((entries[-1].order for entries in self._entries.values()), default=(0, 0)):
            return
        newest = {key: entries[-1] for key, entries in self._entries.items()}  # all of them lie before position
        tables = {key: entry.definition for key, entry in newest.items() if entry.definition}
        charsets = {name: entry.charset for (name, table), entry in newest.items() if not table}
        try:
            changes = apply_ddl(statement, tables, self._captured, charsets.get)
        except SchemaError as error:
            error.hint = error.hint or REMEDY
            raise
        self._append(changes, position)

    def definition(self, db: str, table: str, position: MysqlPosition) -> TableDefinition | None:
        """The definition valid for a row at ``position``; None if it is not known."""
        order = log_order(position)
        valid = [entry for entry in self._entries.get((db, table), ()) if entry.order <= order]
        return valid[-1].definition if valid else None

    def _append(self, news: Catalog | Changes, position: MysqlPosition) -> None:
        at = (position.file, position.pos)
        server = self._server
        entries = [_Entry(*at, *key, definition, server=server) for key, definition in news.tables.items()]
        entries += [_Entry(*at, db, "", charset=charset, server=server) for db, charset in news.charsets.items()]
        if entries:
            self._write(entries)

    def _write(self, entries: list[_Entry]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
            for entry in entries:
                file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(entries)

    def _keep(self, entries: list[_Entry]) -> None:
        for entry in entries:
            if entry.restarts:
                self._by_server[entry.server] = {}
            else:
                known = self._by_server.setdefault(entry.server, {})
                known.setdefault((entry.db, entry.table), []).append(entry)

    def _load(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))
        try:
            self._keep([_decoder.decode(line) for line in whole.splitlines()])
        except msgspec.MsgspecError as exc:
            raise CheckpointError(f"schema history {self._path.name} cannot be read: {exc}", hint=REMEDY) from exc


def check_against(definition: TableDefinition, table_map: TableMap) -> None:
    """Check that a definition fits the table map of the rows.

    Raises:
        SchemaError: Another number of columns, or another type.
    """
    table = definition.schema.table.qualified
    if len(definition.columns) != len(table_map.columns):
        raise SchemaError(
            f"rows of {table} have {len(table_map.columns)} columns, the schema history has {len(definition.columns)}",
            hint=REMEDY,
        )
    for column, known, found in zip(definition.schema.columns, definition.columns, table_map.columns, strict=True):
        if _family(known.code) != _family(found.code) and (known.code, found.code) not in _MARIADB_ALIASES:
            raise SchemaError(
                f"column {column.name} of {table} is {found.code.name} in the log, {known.code.name} in the history",
                hint=REMEDY,
            )


def resolve(definition: TableDefinition, table_map: TableMap) -> tuple[ColumnType, ...]:
    """The columns of a table map with sign, character set and labels from the definition."""
    resolved = []
    for known, found in zip(definition.columns, table_map.columns, strict=True):
        resolved.append(
            msgspec.structs.replace(
                found,
                unsigned=known.unsigned if found.unsigned is None and found.code in NUMERIC else found.unsigned,
                charset=found.charset or (known.charset if found.code in CHARACTER | LABELLED else None),
                labels=known.labels if found.code in LABELLED else found.labels,
            )
        )
    return tuple(resolved)


_FAMILIES = {
    Code.TIMESTAMP2: Code.TIMESTAMP,
    Code.DATETIME2: Code.DATETIME,
    Code.TIME2: Code.TIME,
    Code.NEWDATE: Code.DATE,
    Code.VAR_STRING: Code.VARCHAR,
    Code.BLOB_COMPRESSED: Code.BLOB,
    Code.VARCHAR_COMPRESSED: Code.VARCHAR,
}

# MariaDB stores these as what is named second.
_MARIADB_ALIASES = frozenset({(Code.JSON, Code.BLOB), (Code.VECTOR, Code.VARCHAR)})


def _family(code: Code) -> Code:
    return _FAMILIES.get(code, code)
