"""Events of a binary log, made by hand."""

import struct
import zlib

QUERY, ROTATE, XID, TABLE_MAP, GTID, ANONYMOUS_GTID, MARIADB_GTID = 2, 4, 16, 19, 33, 34, 162


def binlog_event(kind, body, *, log_pos=0, flags=0, has_checksum=False):
    """Header, body and checksum."""
    size = 19 + len(body) + (4 if has_checksum else 0)
    event = struct.pack("<IBIIIH", 1_700_000_000, kind, 7, size, log_pos, flags) + body
    return with_checksum(event) if has_checksum else event


def with_checksum(event):
    """An event whose size counts it already."""
    return event + struct.pack("<I", zlib.crc32(event))
