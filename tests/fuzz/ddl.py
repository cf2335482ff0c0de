"""``python -m tests.fuzz.ddl``: random DDL through real servers, and what the schema history makes of their logs.

After each statement that a server took, the history is fed with what stands in the binary log, and compared with the
server's catalog.
"""

import argparse
import random
import tempfile
import time
from functools import partial
from pathlib import Path

import pymysql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deltaforge.core.errors import SchemaError
from deltaforge.core.positions import MysqlPosition
from deltaforge.protocol.mysql.events import BinlogDecoder, FormatDescription, Query, decode_header, positioned
from deltaforge.protocol.mysql.types import Code
from deltaforge.sources.mysql.catalog import Catalog, load_catalog
from deltaforge.sources.mysql.client import DumpConnection, connect
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.server import read_settings, tail_position
from deltaforge.sources.mysql.statement import dialect_of, statement_of
from tests.fuzz.ddl_statements import Session, Statements

DATABASES = ("mysql", "mariadb", "mariadb-10")
NEW_SESSION = 0.05
REFUSED = (
    "labels that it converts",
    "in other settings than those of its session",
    "names several character sets",
    "a label cannot be read",
    "a label of an enum or set is not a plain string",
    "changes a column that another clause drops",
)
"""Why the history may say that it does not know a table."""


class Follower:
    """Follows the log of a server with a schema history."""

    def __init__(self, database, folder: Path) -> None:
        self._connection = connect(database.url())
        self._facts = read_settings(self._connection)
        self.history = SchemaHistory(folder / "history.jsonl", lambda *_: True)
        self.arrive()
        self.position = tail_position(self._connection, self._facts)
        self.catalog = load_catalog(self._connection)
        self.history.record(self.catalog, self.position)
        self._dump = DumpConnection(database.url(), "fuzz", is_failover=False)
        self._dump.start(self.position.file, self.position.pos)
        self._decoder = BinlogDecoder(has_checksum=self._dump.has_checksum)
        self._dialect = dialect_of(self._facts.version)
        self.statements: list[str] = []
        self.refused = 0

    def arrive(self) -> None:
        """The history is about this server."""
        self.history.arrive(self._facts.uuid, None)

    def close(self) -> None:
        self._dump.close()
        self._connection.close()

    def follow(self) -> None:
        """Read to the end of the log, and look at the catalog."""
        end = tail_position(self._connection, self._facts)
        self.statements = []
        while (self.position.file, self.position.pos) != (end.file, end.pos):
            for data in self._dump.read(1.0):
                header, pos = positioned(decode_header(data), self.position.pos)
                self.position = MysqlPosition(self.position.file, pos)
                message = self._decoder.decode(header, data)
                if isinstance(message, FormatDescription):
                    self._dialect = dialect_of(message.server_version)
                elif isinstance(message, Query):
                    statement = statement_of(message, self._dialect)
                    self.statements.append(f"{statement.text!r} in {statement.session}")
                    self.history.apply(statement, self.position)
        self.catalog = load_catalog(self._connection)

    def compare(self, names: set[tuple[str, str]]) -> None:
        """The history is the catalog, for these tables and those that are there."""
        is_mariadb = self._facts.flavor == "mariadb"
        for key in names | self.catalog.tables.keys():
            expected = facts(self.catalog.tables.get(key), is_mariadb=is_mariadb)
            try:
                found = facts(self.history.definition(*key, self.position), is_mariadb=is_mariadb)
            except SchemaError as error:
                if any(reason in str(error) for reason in REFUSED):
                    self.refused += 1
                    self.history.record(Catalog({key: self.catalog.tables.get(key)}, {}, {}), self.position)
                    continue
                is_no_table = "made of something that is not in" in str(error) and key not in self.catalog.tables
                found = str(error) if "since" in str(error) and not is_no_table else None
            assert found == expected, f"{key}:\nhistory {found}\ncatalog {expected}\nafter {self.statements}"


def facts(definition, *, is_mariadb: bool):
    """What rows depend on: names, order, codes, signs, character sets, labels, key. JSON is text in MariaDB."""
    if definition is None:
        return None
    columns = [
        (column.name, *_code_and_charset(kind, is_mariadb=is_mariadb), kind.unsigned, kind.labels, column.nullable)
        for column, kind in zip(definition.schema.columns, definition.columns, strict=True)
    ]
    return columns, definition.schema.primary_key, definition.charset


def _code_and_charset(kind, *, is_mariadb: bool):
    if kind.code is not Code.JSON:
        return kind.code, kind.charset
    return (Code.BLOB, kind.charset) if is_mariadb else (Code.JSON, None)


def run(server, flavor: str, seed: str, count: int, progress=lambda: None) -> tuple[int, int]:
    """Execute statements until the server has taken so many; the number of those that were tried, and how often the
    history said that it does not know a table.

    Raises:
        AssertionError: The history is not the catalog.
    """
    rnd, taken, tried = random.Random(seed), 0, 0
    with server.fresh_database() as database, tempfile.TemporaryDirectory() as folder:
        follower = Follower(database, Path(folder))
        writer = database.connect()
        try:
            drawn = Statements(rnd, flavor, database.name)
            begin(writer, drawn.session)
            while taken < count:
                tried += 1
                if rnd.random() < NEW_SESSION:
                    drawn.session = Session(rnd, flavor)
                    begin(writer, drawn.session)
                there = {
                    key[1]: columns_of(table)
                    for key, table in follower.catalog.tables.items()
                    if key[0] == database.name
                }
                sql = drawn.next(there)
                if not execute(writer, sql):
                    continue
                taken += 1
                before = set(follower.catalog.tables)
                follower.follow()
                follower.compare({key for key in before if key[0].startswith(database.name)})
                progress()
        finally:
            writer.close()
            follower.close()
            server.drop(database.name + "_2")
    return tried, follower.refused


def begin(writer, session: Session) -> None:
    """Give a connection the settings of a session."""
    writer.set_character_set(session.charset)
    with writer.cursor() as cursor:
        cursor.execute(f"set sql_mode = '{','.join(session.modes)}'")


def execute(writer, sql: str) -> bool:
    """Whether the server took it."""
    try:
        with writer.cursor() as cursor:
            cursor.execute(sql)
    except (pymysql.MySQLError, UnicodeEncodeError) as error:
        if error.args and error.args[0] in (2006, 2013):
            raise
        return False
    return True


def columns_of(table) -> list[str]:
    return [column.name for column in table.schema.columns]


def main() -> None:
    """Runs each database in turn until its statements are done."""
    from benchmarks.servers import Servers

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.ddl", description=__doc__)
    parser.add_argument("--statements", type=int, default=5000, help="of each database")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--database", nargs="+", default=DATABASES, choices=DATABASES)
    options = parser.parse_args()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Servers() as servers, Progress(*columns, console=Console(stderr=True)) as progress:
        for name in options.database:
            task = progress.add_task(name, total=options.statements)
            try:
                tried, refused = run(
                    servers.get(name), name, options.seed, options.statements, partial(progress.advance, task)
                )
            except BaseException as error:
                error.add_note(f"again: python -m tests.fuzz.ddl --database {name} --seed {options.seed}")
                raise
            print(
                f"{name}: {options.statements} of {tried} statements, seed {options.seed}: as in the catalog,"
                f" but {refused} times not known, which is said",
                flush=True,
            )


if __name__ == "__main__":
    main()
