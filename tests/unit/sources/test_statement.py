"""How the text of a statement is read, by the settings of its session and the server that wrote it."""

import struct

import pytest

from deltaforge.core.errors import SchemaError, TruncatedMessageError
from deltaforge.protocol.mysql.charsets import decode_statement, is_decoded
from deltaforge.protocol.mysql.status_vars import (
    ANSI_QUOTES,
    NO_BACKSLASH_ESCAPES,
    NO_STATUS_VARS,
    StatusVars,
    decode_status_vars,
)
from deltaforge.sources.mysql.statement import Dialect, Statement, dialect_of

MYSQL, MARIADB = Dialect(is_mariadb=False, version=80036), Dialect(is_mariadb=True, version=101106)


def texts(sql, mode=0, dialect=MYSQL):
    return [token.text for token in Statement(sql, "d", StatusVars(mode), dialect).tokens]


@pytest.mark.parametrize(
    ("sql", "mode", "expected"),
    [
        ('truncate table "t"', ANSI_QUOTES, [("word", "truncate"), ("word", "table"), ("quoted", "t")]),
        ('truncate table "t"', 0, [("word", "truncate"), ("word", "table"), ("string", "t")]),
        (
            'a "b""c" `d``e"` \'f\'\'g\'',
            ANSI_QUOTES,
            [("word", "a"), ("quoted", 'b"c'), ("quoted", 'd`e"'), ("string", "f'g")],
        ),
        ("a '\\', 'b'", NO_BACKSLASH_ESCAPES, [("word", "a"), ("string", "\\"), ("other", ","), ("string", "b")]),
        ('a "\\" b', ANSI_QUOTES, [("word", "a"), ("quoted", "\\"), ("word", "b")]),
        ('a "\\" b', ANSI_QUOTES | NO_BACKSLASH_ESCAPES, [("word", "a"), ("quoted", "\\"), ("word", "b")]),
        ("1t.größe ;", 0, [("word", "1t"), ("other", "."), ("word", "größe")]),
    ],
)
def test_quotes_are_those_of_the_session(sql, mode, expected):
    if expected is None:
        with pytest.raises(SchemaError, match="cannot be read"):
            texts(sql, mode)
        return
    tokens = Statement(sql, "d", StatusVars(mode)).tokens
    assert [(token.kind.value, token.text) for token in tokens] == expected


def test_comment_signs_within_quotes_are_text():
    assert texts("t comment = '# a /* b */ -- c' # gone") == ["t", "comment", "=", "# a /* b */ -- c"]
    assert texts("create /*!50013 table */ t /* x's */ (`--y` int) -- z") == [
        "create",
        "table",
        "t",
        "(",
        "--y",
        "int",
        ")",
    ]
    assert texts("a -- '\nb --c") == ["a", "b", "-", "-", "c"]
    assert texts("select 2*/*c*/3") == ["select", "2", "*", "3"]
    assert texts("a /*! b '*/' c */ d") == ["a", "b", "*/", "c", "d"]


@pytest.mark.parametrize(
    ("sql", "mysql", "mariadb"),
    [
        ("a /*! b */ c", "a b c", "a b c"),
        ("a /*M! b */ c", "a c", "a b c"),
        ("a /*!50100 b */ c", "a b c", "a b c"),
        ("a /*!80013 b */ c", "a b c", "a c"),
        ("a /*M!80013 b */ c", "a c", "a b c"),
        ("a /*!80037 b */ c", "a c", "a c"),
        ("a /*!101106 b */ c", "a c", "a b c"),
        ("a /*!101107 b /* d */ e */ c", "a c", "a c"),
        ("a /*!050100 b */ c", "a b c", "a b c"),
        ("a /* b /* c */ d", "a d", "a d"),
    ],
)
def test_comments_that_are_code_to_a_server(sql, mysql, mariadb):
    assert " ".join(texts(sql, dialect=MYSQL)) == mysql
    assert " ".join(texts(sql, dialect=MARIADB)) == mariadb


def test_settings_of_one_statement_are_not_the_statement():
    assert texts("set statement max_statement_time=1, x=(select 1 for_) for truncate table t", dialect=MARIADB) == [
        "truncate", "table", "t",
    ]  # fmt: skip
    with pytest.raises(SchemaError, match="sql_mode"):
        texts("set statement sql_mode='' for truncate \"t\"", dialect=MARIADB)


def test_versions_of_servers():
    assert dialect_of("9.1.0") == Dialect(is_mariadb=False, version=90100)
    assert dialect_of("5.5.5-10.11.6-MariaDB-log") == MARIADB


def test_bytes_that_are_no_text_are_kept_apart():
    assert decode_statement("größe".encode("latin1"), "latin1") == "größe"
    assert decode_statement("値 \\'".encode("gbk"), "gbk") == "値 \\'"
    binary = decode_statement(b"insert t values (_binary'\xff')", "utf8mb4")
    assert not is_decoded(binary)
    assert texts(binary)[:2] == ["insert", "t"]
    with pytest.raises(SchemaError, match="no text"):
        texts(decode_statement(b"truncate t\xff", "utf8mb4"))
    assert is_decoded(decode_statement(b"select 1", "geostd8"))
    for charset in ("gbk", "sjis", "big5", "euckr", "utf16", "utf32", "swe7", "collation 9999", "binary"):
        for data in (b"\x81", b"\x81 \xff", b"t\xff\xa1", bytes(range(128, 256)) + b"x"):
            assert isinstance(decode_statement(data, charset), str)


STATUS = (
    b"\0" + bytes(4) + b"\x01" + struct.pack("<Q", ANSI_QUOTES) + b"\x06\x03std" + b"\x03" + bytes(4)
    + b"\x04" + struct.pack("<HHH", 8, 28, 255) + b"\x05\x06SYSTEM" + b"\x07\0\0" + b"\x08" + struct.pack("<H", 33)
    + b"\x0b\x01u\x01h" + b"\x0c\x02a\0bc\0" + b"\x0d" + bytes(3) + b"\x83\x01" + bytes(4)
)  # fmt: skip


def test_status_variables():
    expected = StatusVars(ANSI_QUOTES, "latin1", "gbk", "utf8mb4", "utf8mb3")
    assert decode_status_vars(STATUS) == expected
    assert decode_status_vars(STATUS + b"\xf0 what a later server writes") == expected
    assert decode_status_vars(b"") == NO_STATUS_VARS


def test_status_variables_that_are_cut_short():
    outcomes = []
    for size in range(len(STATUS)):
        try:
            outcomes.append(decode_status_vars(STATUS[:size]))
        except TruncatedMessageError:
            outcomes.append(None)
    assert None in outcomes
