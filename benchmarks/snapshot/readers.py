"""Readers that frame the rows of a table and throw them away, on some connections at a time."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from psycopg import pq

from deltaforge.sources.mysql.client import connect as connect_mysql
from deltaforge.sources.postgres.session import conninfo_of

READ_BYTES = 1 << 20
_END = 0xFE
_END_BYTES = 9


def read_all(database: Any, rows: int, connections: int) -> float:
    """Read ``orders`` by ranges of its key; the seconds it took.

    Raises:
        AssertionError: Rows are missing.
    """
    is_postgres = database.server.scheme == "postgres"
    read: Callable[[str, str], int] = _read_postgres if is_postgres else _read_mysql
    step = -(-rows // connections)
    ranges = (
        [f"id > {start} and id <= {start + step}" for start in range(0, rows, step)] if connections > 1 else ["true"]
    )
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda where=where: counts.append(read(database.url(), where))) for where in ranges
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    secs = time.monotonic() - began
    assert sum(counts) == rows, f"{counts} rows were read, expected {rows}"
    return secs


def _read_postgres(url: str, where: str) -> int:
    """COPY as text, as a snapshot reads it."""
    connection = pq.PGconn.connect(conninfo_of(url).encode())
    connection.exec_(f"copy (select * from orders where {where}) to stdout".encode())
    count = 0
    while connection.get_copy_data(0)[0] > 0:
        count += 1
    connection.finish()
    return count


def _read_mysql(url: str, where: str) -> int:
    """A result set of text; the packets are gone through by their headers."""
    connection: Any = connect_mysql(url)
    connection.select_db(url.rpartition("/")[2])
    connection._execute_command(3, f"select * from orders where {where}")  # noqa: SLF001 - COM_QUERY without reading
    sock, data, at, count, head = connection._sock, bytearray(), 0, 0, True  # noqa: SLF001
    columns, skipped = 0, 0
    while True:
        while len(data) - at < 4 or len(data) - at < 4 + (struct.unpack_from("<I", data, at)[0] & 0xFFFFFF):
            del data[:at]
            at = 0
            data += sock.recv(READ_BYTES)
        size = struct.unpack_from("<I", data, at)[0] & 0xFFFFFF
        first = data[at + 4]
        at += 4 + size
        if head:
            head, columns = False, first
        elif skipped <= columns:  # the definitions, and a packet behind them
            skipped += 1
        elif first == _END and size < _END_BYTES:
            connection.close()
            return count
        else:
            count += 1
