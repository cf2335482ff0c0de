"""The status variables of a query event: in which settings of its session a statement is to be read.

Shape: a code of one byte and its value, in the order of the codes; the length of a value follows from its code. What
stands behind a code that is not known cannot be found: a server stops there too.

Source: MySQL ``statement_events.h`` (``Query_event_post_header``), MariaDB ``log_event.h`` (codes 128 and up).
"""

from __future__ import annotations

import msgspec

from deltaforge.protocol.buffer import read_uint, take
from deltaforge.protocol.mysql.charsets import charset_of_collation

ANSI_QUOTES = 1 << 2
NO_BACKSLASH_ESCAPES = 1 << 20


class StatusVars(msgspec.Struct, frozen=True):
    """What an event says of its session.

    Attributes:
        sql_mode: A bit for each mode; both servers number those that matter here in the same way.
        client_charset: Of the bytes of the statement; None in events that do not say it, those without text of a user.
        connection_charset: Of literals.
        server_charset: The default of databases that are made now.
        database_charset: The session's ``collation_database`` where it is not that of the default database.
        has_effect: False for the first of the two events that MariaDB may write for one ALTER, and for the second one
            if it failed; both have the whole statement.
    """

    sql_mode: int = 0
    client_charset: str | None = None
    connection_charset: str | None = None
    server_charset: str | None = None
    database_charset: str | None = None
    has_effect: bool = True


NO_STATUS_VARS = StatusVars()

_SQL_MODE, _CHARSETS, _DATABASE_CHARSET = 1, 4, 8
_FIXED = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 13: 3, 16: 1, 17: 8, 18: 2, 19: 1, 20: 1, 128: 3, 129: 8}
_TEXTS = {2: 2, 5: 1, 6: 1}
"""A length byte and so many bytes: the length, and a zero behind the text in the oldest form."""
_INVOKER, _DATABASES, _MARIADB_GTID_FLAGS, _MARIADB_COLLATIONS = 11, 12, 130, 131
_TOO_MANY_DATABASES = 254
_START_ALTER, _ROLLBACK_ALTER, _ALTER_IN_TWO_PHASES = 0x02, 0x08, 0x0C


def decode_status_vars(data: bytes) -> StatusVars:
    """The variables of one event.

    Raises:
        TruncatedMessageError: A value is longer than what is left.
    """
    mode, charsets, database, has_effect = 0, (None, None, None), None, True
    at = 0
    while at < len(data):
        code, at = data[at], at + 1
        end = _end(code, data, at)
        if end is None:
            break
        value = take(data, at, end - at)
        if code == _SQL_MODE:
            mode = read_uint(value, 0, 8)
        elif code == _CHARSETS:
            charsets = tuple(charset_of_collation(read_uint(value, n, 2)) for n in (0, 2, 4))  # type: ignore[assignment] # three
        elif code == _DATABASE_CHARSET:
            database = charset_of_collation(read_uint(value, 0, 2))
        elif code == _MARIADB_GTID_FLAGS:
            has_effect = not value[0] & (_START_ALTER | _ROLLBACK_ALTER)
        at = end
    return StatusVars(mode, *charsets, database, has_effect)


def _end(code: int, data: bytes, at: int) -> int | None:
    """Where a value ends; None if its code is not known."""
    if code in _FIXED:
        return at + _FIXED[code]
    if code in _TEXTS:
        return at + _TEXTS[code] + take(data, at, 1)[0]
    if code == _INVOKER:
        at += 1 + take(data, at, 1)[0]
        return at + 1 + take(data, at, 1)[0]
    if code == _DATABASES:
        count, at = take(data, at, 1)[0], at + 1
        for _ in range(0 if count == _TOO_MANY_DATABASES else count):
            at = _behind_zero(data, at)
        return at
    if code == _MARIADB_GTID_FLAGS:
        return at + (9 if take(data, at, 1)[0] & _ALTER_IN_TWO_PHASES else 1)
    if code == _MARIADB_COLLATIONS:
        return at + 1 + 4 * take(data, at, 1)[0]
    return None


def _behind_zero(data: bytes, at: int) -> int:
    zero = data.find(b"\0", at)
    return (len(data) if zero < 0 else zero) + 1
