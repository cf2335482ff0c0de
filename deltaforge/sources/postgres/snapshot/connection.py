"""The connection that reads chunks: a session as that of the log, so that the server prints values in the same way."""

from __future__ import annotations

import select
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import pq

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import CopyData
from deltaforge.protocol.postgres.copy_rows import insert_of_copied
from deltaforge.sources.postgres.client import connect, error_of, libpq_path, source_errors

LOCK_TIMEOUT = "5s"
"""How long a chunk waits behind whoever alters its table; others wait behind both."""

SESSION = """
set lock_timeout = '{}'; set row_security = off;
set enable_seqscan = off; set max_parallel_workers_per_gather = 0; set synchronize_seqscans = off
"""
"""A range of pages is read as such, in order. Rows that row security would hide make an error, not a gap."""

WAIT_MS = 100
"""How long the socket is waited for: bytes may be in the TLS library already, of which the socket knows nothing."""

_SIZES = """
select current_setting('block_size')::int8, current_setting('wal_block_size')::int8,
       (select setting::int8 from pg_settings where name = 'wal_segment_size')
"""
_GONE = ("42P01", "42703", "3F000")
"""SQLSTATEs of a table, column or schema that is not there."""
_DOING = "cannot read rows of a snapshot"
_ROW_SECURITY = "as the owner of the table or a superuser: alter role … bypassrls, for the role of the DSN"


@dataclass(frozen=True)
class CopiedChunk:
    """What one transaction has read.

    Attributes:
        facts: The row of the query before the rows.
        inserts: The rows as inserts of pgoutput: a block of the kernel, else plain messages.
        is_whole: There was room for all rows; else the connection was given up.
    """

    facts: Sequence[str | None]
    inserts: CopyData | list[bytes]
    row_count: int
    byte_count: int
    is_whole: bool = True


class CopyConnection:
    """Used by one thread at a time.

    Attributes:
        block_bytes: Size of a page of a table.
        wal_block_bytes, wal_file_bytes: Sizes of a page and of a file of the WAL.
        side: The same connection, for ordinary queries between chunks.
    """

    def __init__(self, dsn: str) -> None:
        self.side = connect(dsn)
        self._pg = self.side.pgconn
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)
        self._library = libpq_path() if compiled is not None else None
        self.side.execute(SESSION.format(LOCK_TIMEOUT).encode())
        self.block_bytes, self.wal_block_bytes, self.wal_file_bytes = self.rows(_SIZES)[0]

    def rows(self, query: str, arguments: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with source_errors(_DOING):
            return self.side.execute(query.encode(), arguments).fetchall()

    def explain(self, query: str) -> None:
        """Let the server plan a query, and nothing else.

        Raises:
            SourceError: It is not understood.
        """
        with source_errors(_DOING):
            self.side.execute("begin read only")
            try:
                result = self._pg.exec_params(f"explain {query}".encode(), [])
            finally:
                self.side.execute("rollback")
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise _refused(result)

    def copy(self, facts: str, rows: str, lock: str, shape: tuple[int, int], max_bytes: int | None) -> CopiedChunk:
        """Read rows in one short transaction that sees one snapshot.

        The table is locked first, as a reader does, and only then the snapshot is taken: what the catalog says in it
        of the table is what holds until the rows are read.

        Args:
            facts: A query for one row, before the rows.
            rows: The query for the rows.
            lock: The table.
            shape: Oid of the relation whose inserts the rows become, and how many values each has.
            max_bytes: The rows may have so many; then the connection is closed. None: any number.

        Raises:
            TableChangedError: A table or column of the queries is not there.
            SourceError: The server refused, or the connection broke. It is of no use any more.
        """
        statements = (
            "begin isolation level repeatable read read only",
            f"lock table only {lock} in access share mode",
            facts,
            f"copy ({rows}) to stdout",
            "commit",
        )
        with source_errors(_DOING):
            self._pg.send_query("; ".join(statements).encode())
            self._expect(pq.ExecStatus.COMMAND_OK)
            self._expect(pq.ExecStatus.COMMAND_OK)
            found = self._expect(pq.ExecStatus.TUPLES_OK)
            self._expect(pq.ExecStatus.COPY_OUT)
            chunk = self._rows(_texts(found), shape, max_bytes)
            if not chunk.is_whole:
                self.close()
                return chunk
            self._expect(pq.ExecStatus.COMMAND_OK)
            self._expect(pq.ExecStatus.COMMAND_OK)
            self._end()
        return chunk

    def close(self) -> None:
        """Disconnect. Never raises."""
        self.side.close()

    def _rows(self, facts: list[str | None], shape: tuple[int, int], max_bytes: int | None) -> CopiedChunk:
        if compiled is None or self._library is None:
            return self._python_rows(facts, shape, max_bytes)
        relation, column_count = shape
        address: int = self._pg.pgconn_ptr  # type: ignore[attr-defined]  # of the binary build alone
        source = compiled.CopiedRows(self._library, address, relation, column_count)
        block = compiled.CopyData()
        limit = 1 << 40 if max_bytes is None else max_bytes
        while True:
            state = source.read(block, limit)
            if state == -1:
                return CopiedChunk(facts, block, block.count, block.byte_count)
            if state > 0:
                return CopiedChunk(facts, block, block.count, block.byte_count, is_whole=False)
            if state < 0:
                raise error_of(self._pg.get_error_message(), None, _DOING)
            self._poll.poll(WAIT_MS)

    def _python_rows(self, facts: list[str | None], shape: tuple[int, int], max_bytes: int | None) -> CopiedChunk:
        inserts: list[bytes] = []
        byte_count = 0
        while max_bytes is None or byte_count < max_bytes:
            size, data = self._pg.get_copy_data(1)
            if size == 0:
                self._receive()
            elif size < 0:
                return CopiedChunk(facts, inserts, len(inserts), byte_count)
            else:
                inserts.append(insert_of_copied(bytes(data or b""), *shape))
                byte_count += len(inserts[-1])
        return CopiedChunk(facts, inserts, len(inserts), byte_count, is_whole=False)

    def _receive(self) -> None:
        self._poll.poll(WAIT_MS)
        self._pg.consume_input()

    def _result(self) -> pq.abc.PGresult | None:
        while self._pg.flush():
            self._pg.consume_input()
        while self._pg.is_busy():
            self._receive()
        return self._pg.get_result()

    def _expect(self, status: pq.ExecStatus) -> pq.abc.PGresult:
        result = self._result()
        if result is None:
            raise SourceError(f"{_DOING}: the server answered less than it was asked", kind="connect")
        if result.status != status:
            raise _refused(result)
        return result

    def _end(self) -> None:
        while self._result() is not None:
            pass


def _texts(result: pq.abc.PGresult) -> list[str | None]:
    values = (result.get_value(0, n) for n in range(result.nfields))
    return [None if value is None else bytes(value).decode(errors="backslashreplace") for value in values]


def _refused(result: pq.abc.PGresult) -> SourceError:
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    text = result.get_error_message()
    if state in _GONE:
        return TableChangedError(f"{_DOING}: {text.strip()}")
    error = error_of(text, state, _DOING)
    function = result.error_field(pq.DiagnosticField.SOURCE_FUNCTION) or b""
    if state == "42501" and function == b"check_enable_rls":
        error.hint = _ROW_SECURITY
    return error
