"""The schema history: table definitions by position, for servers without full row metadata.

A row is decoded with the definition that was valid where it was written. What the log does not say is
known from the catalog at the first start and from the DDL since then. Places in the logs of two servers cannot be
compared: after a failover the definitions that were valid where reading goes on begin the history of the new server.
"""

from __future__ import annotations

import bisect
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from deltaforge.checkpoint.takeover import TakeOvers
from deltaforge.core.errors import CheckpointError, SchemaError
from deltaforge.core.positions import MysqlPosition
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, NUMERIC, Code, ColumnType
from deltaforge.sources.mysql.catalog import Catalog
from deltaforge.sources.mysql.ddl import apply_ddl
from deltaforge.sources.mysql.definitions import Changes, Definitions, Key, State, TableDefinition, Unknown
from deltaforge.sources.mysql.statement import Statement

log = logging.getLogger(__name__)

Order = tuple[int, int]
REMEDY = "set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again"
TAKE_OVER = (
    "if no DDL of this table came behind that place, let the next start take its definition from the catalog:"
    ' POST /pipelines/{name}/schemas/{database}/{table}/reload with {"take_over": true}, or deltaforge take-over'
)


class _Entry(msgspec.Struct, frozen=True):
    """One line of the file: from ``file``/``pos`` on the table is defined so; None: it is gone, or ``unknown`` says why
    its definition is not known.

    Without ``table`` it is the default character set of a database, without ``db`` of the server. ``server`` is
    whose log it is; what was known of that log before a line that ``restarts`` is void. With ``thread`` it is a
    temporary table of that connection, which is there or not.
    """

    file: str
    pos: int
    db: str
    table: str
    definition: TableDefinition | None = None
    charset: str | None = None
    server: str = ""
    restarts: bool = False
    unknown: str = ""
    thread: int | None = None
    is_there: bool = False

    @property
    def order(self) -> Order:
        return MysqlPosition(self.file, self.pos).order

    @property
    def state(self) -> State:
        return self.definition or (Unknown(self.unknown) if self.unknown else None)


_decoder = msgspec.json.Decoder(_Entry)


class _Log:
    """What is known of one server's log: of each table its entries by place, and how it is at the end."""

    def __init__(self, *, folds_names: bool) -> None:
        self.now = Definitions(folds_names=folds_names)
        self.end: Order = (0, 0)
        self._entries: dict[Key, list[tuple[Order, _Entry]]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry."""
        return not self._entries

    def keep(self, entry: _Entry) -> None:
        """Add an entry; what it says is valid from its place to the next one of its table."""
        order, key = entry.order, self.now.key(entry.db, entry.table)
        self.end = max(self.end, order)
        if entry.thread is not None:
            self.now.apply(Changes(temporary={(entry.thread, key): entry.is_there}))
            return
        known = self._entries.setdefault(key, [])
        known.insert(bisect.bisect_right(known, order, key=lambda pair: pair[0]), (order, entry))
        newest = known[-1][1]
        if entry.table:
            self.now.apply(Changes({key: newest.state}))
        else:
            self.now.apply(Changes(charsets={key[0]: newest.charset}))

    def at(self, key: Key, order: Order) -> _Entry | None:
        """The entry that is valid at a place."""
        return next((entry for place, entry in reversed(self._entries.get(key, [])) if place <= order), None)

    def before(self, order: Order) -> Definitions:
        """How it was before a place. At the end that costs nothing; where the log is read again, all that was there."""
        if order > self.end:
            return self.now
        known = Definitions(folds_names=self.now.folds_names)
        for key, entries in self._entries.items():
            valid = next((entry for place, entry in reversed(entries) if place < order), None)
            if valid is not None and valid.table:
                known.apply(Changes({key: valid.state}))
            elif valid is not None:
                known.apply(Changes(charsets={key[0]: valid.charset}))
        return known

    def all_at(self, order: Order) -> list[_Entry]:
        """Every entry that is valid at a place."""
        return [entry for key in self._entries if (entry := self.at(key, order)) is not None]


class SchemaHistory:
    """Definitions of tables by position.

    Append-only JSON lines, fsynced before anything behind them is delivered; a torn last line is
    dropped. Replaying the log changes nothing: what is already known at a position stays.

    Args:
        path: The file; made when first written.
        captured: Whether ``(db, table)`` is captured. Other tables are followed too, as far as their DDL
            is understood: one of them may be renamed to a captured one.

    Attributes:
        take_overs: Tables whose definition is to be taken from the catalog.
    """

    def __init__(self, path: Path, captured: Callable[[str, str], bool]) -> None:
        self._path = path
        self._captured = captured
        self.take_overs = TakeOvers(path.parent)
        self._folds_names = False
        self._server = ""
        self._by_server: dict[str, _Log] = {}
        self._load()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded: the server writes full row metadata."""
        return self._log.is_empty

    @property
    def _log(self) -> _Log:
        return self._log_of(self._server)

    def _log_of(self, server: str) -> _Log:
        return self._by_server.setdefault(server, _Log(folds_names=self._folds_names))

    def arrive(self, server: str, position: MysqlPosition | None, *, folds_names: bool = False) -> None:
        """The log of this server is read from now on.

        Args:
            server: Whose it is.
            position: Where, in terms of the server that it is of.
            folds_names: Whether it takes names of tables as equal whatever their case.
        """
        if folds_names != self._folds_names:
            self._folds_names = folds_names
            self._load()
        before = position.server_uuid if position is not None and position.server_uuid else server
        self._server = server
        if position is None or before == server:
            return
        valid = self._by_server[before].all_at(position.order) if before in self._by_server else []
        carried = [msgspec.structs.replace(entry, file="", pos=0, server=server) for entry in valid]
        self._write([_Entry("", 0, "", "", server=server, restarts=True), *carried])

    def record(self, catalog: Catalog, position: MysqlPosition) -> None:
        """What the catalog says, valid from ``position`` on."""
        unreadable = {key: Unknown(f"the catalog cannot be read: {error}") for key, error in catalog.errors.items()}
        self._append(Changes({**catalog.tables, **unreadable}, catalog.charsets), position)

    def apply(self, statement: Statement, position: MysqlPosition) -> None:
        """A statement that ends at ``position``, if it is DDL."""
        if position.order <= self._log.end:
            return
        changes = apply_ddl(statement, self._log.now)
        for key, state in changes.tables.items():
            if isinstance(state, Unknown) and self._captured(*key) and self._log.now.table(key) != state:
                log.warning(
                    "the definition of %s.%s is not known from %s:%d on: %s",
                    *key,
                    position.file,
                    position.pos,
                    state.reason,
                )
        self._append(changes, position)

    def known_before(self, position: MysqlPosition) -> Definitions:
        """The tables and databases before a statement that ends at ``position``, which may be read again."""
        return self._log.before(position.order)

    def known_at(self, position: MysqlPosition) -> Callable[[Key], State]:
        """Gives what is known of a table behind a statement that ends at ``position``."""
        log, order = self._log, position.order

        def state_of(key: Key) -> State:
            entry = log.at(key, order)
            return None if entry is None else entry.state

        return state_of

    def on_server_start(self, position: MysqlPosition) -> None:
        """The server was started where this log file begins: it has no temporary tables."""
        if position.order > self._log.end:
            self._append(Changes(temporary=dict.fromkeys(self._log.now.temporary, False)), position)

    def definition(self, db: str, table: str, position: MysqlPosition) -> TableDefinition:
        """The definition valid for a row at ``position``.

        Raises:
            SchemaError: It is not known; says since when and why.
        """
        entry = self._log.at(self._log.now.key(db, table), position.order)
        if entry is not None and entry.definition is not None:
            return entry.definition
        where = f"the definition of {db}.{table} at {position.file}:{position.pos} is not known"
        why = f", since {entry.file}:{entry.pos}: {entry.unknown}" if entry is not None and entry.unknown else ""
        raise SchemaError(where + why, hint=TAKE_OVER)

    def take_over(self, key: Key, definition: TableDefinition, position: MysqlPosition) -> None:
        """A definition that the catalog had, valid for rows from ``position`` on."""
        self._append(Changes({self._log.now.key(*key): definition}), position)

    def _append(self, news: Changes, position: MysqlPosition) -> None:
        at, server = (position.file, position.pos), self._server
        entries = [_entry(at, key, state, server) for key, state in news.tables.items()]
        entries += [_Entry(*at, db, "", charset=charset, server=server) for db, charset in news.charsets.items()]
        entries += [
            _Entry(*at, *key, server=server, thread=thread, is_there=is_there)
            for (thread, key), is_there in news.temporary.items()
        ]
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
                self._by_server[entry.server] = _Log(folds_names=self._folds_names)
            else:
                self._log_of(entry.server).keep(entry)

    def _load(self) -> None:
        self._by_server = {}
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


def _entry(at: tuple[str, int], key: Key, state: State, server: str) -> _Entry:
    if isinstance(state, Unknown):
        return _Entry(*at, *key, server=server, unknown=state.reason)
    return _Entry(*at, *key, state, server=server)


def check_against(definition: TableDefinition, table_map: TableMap) -> None:
    """Check that a definition fits the table map of the rows.

    Raises:
        SchemaError: Another number of columns, or another type.
    """
    table = definition.schema.table.qualified
    if len(definition.columns) != len(table_map.columns):
        raise SchemaError(
            f"rows of {table} have {len(table_map.columns)} columns, the schema history has {len(definition.columns)}",
            hint=TAKE_OVER,
        )
    for column, known, found in zip(definition.schema.columns, definition.columns, table_map.columns, strict=True):
        if _family(known.code) != _family(found.code) and (known.code, found.code) not in _MARIADB_ALIASES:
            raise SchemaError(
                f"column {column.name} of {table} is {found.code.name} in the log, {known.code.name} in the history",
                hint=TAKE_OVER,
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
