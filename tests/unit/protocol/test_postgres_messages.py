import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.errors import ProtocolError, TruncatedMessageError, UnknownMessageError, UnsupportedValueError
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.protocol.postgres.arrays import array_from_text, hstore_from_text
from deltaforge.protocol.postgres.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Insert,
    Keepalive,
    Truncate,
    Update,
    decode_frame,
    decode_message,
)
from deltaforge.protocol.postgres.values import DECODERS


def text(value):
    return b"t" + struct.pack(">I", len(value)) + value


INSERT = b"I" + struct.pack(">I", 7) + b"N" + struct.pack(">H", 4) + text(b"1") + b"n" + b"u" + text(b"")
UPDATE = (
    b"U" + struct.pack(">I", 7) + b"K" + struct.pack(">H", 1) + text(b"1") + b"N" + struct.pack(">H", 1) + text(b"2")
)
DELETE = b"D" + struct.pack(">I", 7) + b"O" + struct.pack(">H", 1) + text(b"1")
RELATION = b"R" + struct.pack(">I", 7) + b"public\0t\0d" + struct.pack(">H", 1) + b"\1id\0" + struct.pack(">Ii", 23, -1)
TRUNCATE = b"T" + struct.pack(">IB", 2, 3) + struct.pack(">II", 7, 8)
BEGIN = b"B" + struct.pack(">QqI", 100, 0, 5)
COMMIT = b"C\0" + struct.pack(">QQq", 100, 120, 0)
MESSAGE = b"M\1" + struct.pack(">Q", 9) + b"p\0" + struct.pack(">I", 2) + b"{}"
ALL = [INSERT, UPDATE, DELETE, RELATION, TRUNCATE, BEGIN, COMMIT, MESSAGE]


def test_messages_are_decoded():
    assert decode_message(INSERT) == Insert(7, [b"1", None, UNCHANGED, b""])
    assert decode_message(UPDATE) == Update(7, "K", [b"1"], [b"2"])
    assert decode_message(BEGIN) == Begin(100, 946_684_800_000_000, 5)
    assert decode_message(COMMIT) == Commit(100, 120, 946_684_800_000)
    assert decode_message(TRUNCATE) == Truncate((7, 8), cascade=True, restart_identity=True)
    assert decode_frame(b"k" + struct.pack(">QQB", 5, 0, 1)) == Keepalive(5, wants_reply=True)


@pytest.mark.parametrize("message", ALL, ids=lambda m: m[:1].decode())
def test_message_cut_at_any_byte_is_a_protocol_error(message):
    for length in range(1, len(message)):
        with pytest.raises(ProtocolError):
            decode_message(message[:length])


def test_bytes_behind_a_row_are_an_error():
    with pytest.raises(ProtocolError, match="left after the row"):
        decode_message(INSERT + b"x")


@pytest.mark.parametrize("kind", [b"S", b"Z", b"\0", b""])
def test_unknown_message_is_never_skipped(kind):
    with pytest.raises(UnknownMessageError):
        decode_message(kind)


def test_unknown_or_short_frame_is_an_error():
    with pytest.raises(UnknownMessageError):
        decode_frame(b"x")
    with pytest.raises(TruncatedMessageError):
        decode_frame(b"w\0\0")


@given(st.sampled_from(list(b"BCRIUDTMOY")), st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_protocol_error(kind, data):
    try:
        decode_message(bytes([kind]) + data)
    except ProtocolError:
        return


@given(st.sampled_from(sorted(DECODERS)), st.text(max_size=50))
def test_any_text_gives_a_value_or_a_protocol_error(name, value):
    try:
        DECODERS[name](value)
    except ProtocolError:
        return


@given(st.text(alphabet='{}",\\ab[]=01:N ULL', max_size=40))
def test_any_array_text_gives_a_list_or_a_protocol_error(value):
    try:
        assert isinstance(array_from_text(value, str), list)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("{}", []),
        ('{NULL,"NULL"}', [None, "NULL"]),
        ('{"a,b","c\\"d","e\\\\f"}', ["a,b", 'c"d', "e\\f"]),
        ("{{1,2},{3,4}}", [["1", "2"], ["3", "4"]]),
        ("[-1:0]={a,b}", ["a", "b"]),
    ],
)
def test_array_literals(literal, expected):
    assert array_from_text(literal, str) == expected


def test_hstore_literals():
    assert hstore_from_text('"a"=>"1", "b c"=>NULL, "q\\"r"=>""') == {"a": "1", "b c": None, 'q"r': ""}
    with pytest.raises(ProtocolError):
        hstore_from_text("a=>1")


def test_json_keeps_every_digit():
    from decimal import Decimal

    assert parse_json_exact("[1, 1.5, 1e2]") == [1, 1.5, 100.0]
    assert parse_json_exact("12345678901234567890123") == Decimal(12345678901234567890123)
    assert parse_json_exact("0.1234567890123456789") == Decimal("0.1234567890123456789")
    assert parse_json_exact("18446744073709551615") == 18446744073709551615
    for bad in ("NaN", "{", "", "[" * 100_000):
        with pytest.raises(UnsupportedValueError):
            parse_json_exact(bad)
