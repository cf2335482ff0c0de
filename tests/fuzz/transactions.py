"""Whole transactions of random rows, as logs hold them, for the parts of the kernel that take them whole."""

import random
import struct

from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.mysql.rows import Rows
from tests.binlog import ANONYMOUS_GTID, GTID, MARIADB_GTID, QUERY, TABLE_MAP, XID, binlog_event
from tests.fuzz import mysql_rows, postgres_rows
from tests.fuzz.mysql_input import damaged

ROOM = (1 << 30, 1 << 30)
WRITE, WRITE_V1 = 30, 23
OFFSET_OF = {"write": 0, "update": 1, "delete": 2}
MAP_BODY = b"\x01d\x00\x01t\x00what the map says"


def taken_from_mysql(case: mysql_rows.Case, rnd: random.Random, damage: float) -> list:
    """Groups that the scanner makes of two transactions."""
    if case.rows.kind not in OFFSET_OF:
        return []
    is_mariadb = rnd.random() < 0.5
    events = [event for _ in range(2) for event in _mysql_events(case.rows, rnd, is_mariadb=is_mariadb)]
    if rnd.random() < damage:
        at = rnd.randrange(len(events))
        events[at] = _with_size(damaged(rnd, events[at]))
    scanner = kernel.TransactionScanner(False, is_mariadb, "server-1", {MAP_BODY: case.table})
    scanner.scan(events, 0, "f", 4, *ROOM)
    return scanner.groups


def taken_from_postgres(case: postgres_rows.Case, rnd: random.Random, damage: float) -> list:
    """Groups that the kernel makes of two transactions."""
    messages = []
    for number in (1, 2):
        messages.append(struct.pack(">BQqI", ord("B"), number << 32, 7, 9))
        messages += case.messages
        messages.append(struct.pack(">BBQQq", ord("C"), 0, number << 32, (number << 32) + 5, 7))
    frames = [b"w" + bytes(24) + message for message in messages]
    if rnd.random() < damage:
        at = rnd.randrange(len(frames))
        frames[at] = damaged(rnd, frames[at])
    block = kernel.copy_data(frames)
    return kernel.CopyTransactions(block, 0, {77: case.table}, b"postgresql|1|", 1 << 60, ROOM, ROOM).groups


def _mysql_events(rows: Rows, rnd: random.Random, *, is_mariadb: bool) -> list[bytes]:
    table_id = struct.pack("<IHH", rnd.randrange(1 << 32), 0, 0)
    kind = (WRITE_V1 if is_mariadb else WRITE) + OFFSET_OF[rows.kind]
    size = (rows.column_count + 7) // 8
    images = [rows.before, rows.after] if rows.kind == "update" else [rows.before]
    count = bytes([rows.column_count]) if rows.column_count < 251 else b"\xfc" + struct.pack("<H", rows.column_count)
    bits = b"".join(image.to_bytes(size, "little") for image in images)
    extra = b"" if is_mariadb else b"\x02\x00"
    begin = binlog_event(QUERY, struct.pack("<IIBHH", 1, 0, 0, 0, 0) + b"\0BEGIN")
    return [
        *([_mariadb_gtid(rnd)] if is_mariadb else [_gtid(rnd), begin]),
        binlog_event(TABLE_MAP, table_id + MAP_BODY),
        binlog_event(kind, table_id + extra + count + bits + rows.data[rows.start :]),
        binlog_event(XID, bytes(8)),
    ]


def _gtid(rnd: random.Random) -> bytes:
    kind = rnd.choice((GTID, ANONYMOUS_GTID))
    times = rnd.choice((b"", bytes(7), bytes([1, 2, 3, 4, 5, 6, 0x80]) + bytes([1, 2, 3, 4, 5, 6, 7])))
    return binlog_event(kind, bytes(17) + struct.pack("<q", rnd.randrange(1 << 63)) + b"\x02" + bytes(16) + times)


def _mariadb_gtid(rnd: random.Random) -> bytes:
    return binlog_event(MARIADB_GTID, struct.pack("<QIB", rnd.randrange(1 << 64), rnd.randrange(1 << 32), 0) + bytes(6))


def _with_size(event: bytes) -> bytes:
    """The scanner looks at the size first: one that fits lets it look further."""
    return event[:9] + struct.pack("<I", len(event)) + event[13:] if len(event) >= 13 else event
