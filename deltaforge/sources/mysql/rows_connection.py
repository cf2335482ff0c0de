"""A connection that selects rows for a snapshot: prepared statements whose results become row images of the log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from deltaforge.core.errors import SourceError
from deltaforge.kernel import backend
from deltaforge.protocol.buffer import read_packed
from deltaforge.protocol.mysql.parameters import (
    COM_STMT_CLOSE,
    COM_STMT_EXECUTE,
    COM_STMT_PREPARE,
    Statement,
    decode_column,
    decode_prepared,
    encode_execute,
)
from deltaforge.protocol.mysql.result_rows import ResultType, RowImages, result_columns
from deltaforge.protocol.mysql.result_values import ResultValue, row_values
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.sources.mysql.client import connect, execute
from deltaforge.sources.mysql.errors import error_of_packet
from deltaforge.sources.mysql.packets import Packets

LOCK_WAIT_SECS = 5
"""How long a statement waits for an ALTER TABLE that is under way."""

_SETTINGS = (
    "set names utf8mb4",
    # Bytes come in the character set of their column and times in UTC, CHAR is not padded, operators mean the usual.
    "set session character_set_results = null, time_zone = '+00:00', sql_mode = ''",
    # A statement sees what is committed, and all of it, whatever the server has for clients that set nothing.
    "set session transaction isolation level repeatable read, read only",
    "set session sql_big_selects = 1, sql_auto_is_null = 0",
    f"set session lock_wait_timeout = {LOCK_WAIT_SECS}, net_write_timeout = 86400, wait_timeout = 86400",
)
_OF_FLAVOR = {
    "mysql": ("set session max_execution_time = 0",),
    "mariadb": ("set session max_statement_time = 0", "set session system_versioning_asof = default"),
}
_EOF, _ERROR = 0xFE, 0xFF
_EOF_BYTES = 9


class ResultPart(msgspec.Struct, frozen=True):
    """Rows of a result.

    Attributes:
        images: One behind the other, each with all columns, as in a row event of inserts.
        last_row: The values of the last row, which may be parameters of another statement; None without rows.
        is_end: Whether no rows come behind these.
    """

    images: bytes
    row_count: int
    last_row: tuple[ResultValue, ...] | None
    is_end: bool


class Result:
    """The rows of a SELECT, in the order in which they come. The next statement has to wait for its end.

    Attributes:
        types: Of its columns.
        is_end: Whether all of it was read.
    """

    def __init__(
        self, packets: Packets, columns: Sequence[tuple[str, ColumnType]], types: Sequence[ResultType]
    ) -> None:
        self._packets, self.types = packets, types
        self._columns = result_columns(columns, types)
        self._rows = backend.ResultRows(self._columns)
        self._python = RowImages(self._columns)
        self.is_end = False

    def read(self, max_bytes: int) -> ResultPart:
        """The next rows: all that are left, or those with which the images have at least ``max_bytes`` bytes.

        Raises:
            SourceError: The connection broke, or the server had to stop.
            ProtocolError: The bytes break the format.
        """
        last: bytes | None = None
        while not self.is_end and self._rows.byte_count < max_bytes:
            packet, taken = self._packets.next_or_rows(self._rows, max_bytes)
            last = taken or last
            if packet is None:
                break
            if packet[:1] == bytes((_ERROR,)):
                self.is_end = True
                raise error_of_packet(packet, "the server stopped in the middle of a select")
            if packet[:1] == bytes((_EOF,)) and len(packet) < _EOF_BYTES:
                self.is_end = True
            else:
                self._rows.put(self._python.image(packet))
                last = packet
        count, values = self._rows.row_count, row_values(last, self._columns) if last else None
        return ResultPart(self._rows.images(), count, values, self.is_end)


class RowsConnection:
    """Connected at once. One thread uses it, but for :meth:`interrupt`. Methods raise SourceError, whose context has
    the number of an error of the server as ``code``; after an error the connection is closed by the caller.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn)
        self._result: Result | None = None
        try:
            ((version,),) = execute(self._connection, "select version()")
            flavor = "mariadb" if "mariadb" in str(version).lower() else "mysql"
            for sql in (*_SETTINGS, *_OF_FLAVOR[flavor]):
                execute(self._connection, sql)
            self._packets = Packets(self._connection)
        except BaseException:
            self.close()
            raise

    def query(self, sql: str, values: tuple[str, ...] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a statement with a small result; ``values`` stand for its ``%s``."""
        self._check_idle()
        return execute(self._connection, sql, values)

    def prepare(self, sql: str) -> Statement:
        """A statement with a ``?`` for each parameter. The server keeps it until :meth:`forget`."""
        self._check_idle()
        self._packets.command(COM_STMT_PREPARE, sql.encode())
        statement = decode_prepared(self._answer("a statement was refused"), sql)
        for count in (statement.parameter_count, statement.column_count):
            for _ in range(count + 1 if count else 0):  # definitions, and a packet behind them
                self._packets.next()
        return statement

    def forget(self, statement: Statement) -> None:
        """The server forgets a statement."""
        self._check_idle()
        self._packets.command(COM_STMT_CLOSE, statement.id.to_bytes(4, "little"))

    def execute(
        self, statement: Statement, values: Sequence[ResultValue], columns: Sequence[tuple[str, ColumnType]]
    ) -> Result:
        """Begin to read what a SELECT gives.

        Args:
            statement: Selects the columns: ENUM and SET as numbers, UUID and addresses of MariaDB as bytes.
            values: Of its parameters.
            columns: Of the images: ``copied_columns``.

        Raises:
            TableChangedError: The result is not of these columns.
        """
        self._check_idle()
        self._packets.command(COM_STMT_EXECUTE, encode_execute(statement, values))
        count, _ = read_packed(self._answer("a select was refused"), 0)
        types = [decode_column(self._packets.next()) for _ in range(count)]
        self._packets.next()
        self._result = Result(self._packets, columns, types)
        return self._result

    def interrupt(self) -> None:
        """End a wait for the server, from any thread: whoever waits gets a SourceError. Never raises."""
        with suppress(OSError):
            self._packets.interrupt()

    def close(self) -> None:
        """Disconnect, also in the middle of a result. Never raises."""
        with suppress(OSError):
            self._connection._force_close()  # type: ignore[attr-defined]  # noqa: SLF001 - no COM_QUIT into a result

    def _check_idle(self) -> None:
        if self._result is not None and not self._result.is_end:
            raise SourceError("a result was not read to its end", kind="connect")

    def _answer(self, doing: str) -> bytes:
        """The first packet of an answer.

        Raises:
            SourceError: It is an error.
        """
        packet = self._packets.next()
        if packet[:1] == bytes((_ERROR,)):
            raise error_of_packet(packet, doing)
        return packet
