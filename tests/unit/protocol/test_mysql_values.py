import struct
import zlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltaforge.core.errors import ChecksumMismatchError, ProtocolError, UnknownMessageError, UnsupportedValueError
from deltaforge.protocol.mysql.events import BinlogDecoder, Query, Xid, decode_header
from deltaforge.protocol.mysql.json_diff import apply_json_diffs
from deltaforge.protocol.mysql.jsonb import json_from_binary
from deltaforge.protocol.mysql.numbers import decimal_text, float_from_single
from deltaforge.protocol.mysql.rows import RowDecoder, Rows
from deltaforge.protocol.mysql.table_map import decode_table_map
from deltaforge.protocol.mysql.types import Code, ColumnType, declared_type
from deltaforge.protocol.mysql.values import resolve_decoder
from tests.binlog import binlog_event


def event(kind, body, *, flags=0):
    return binlog_event(kind, body, log_pos=100, flags=flags, has_checksum=True)


def decode(data):
    return BinlogDecoder(has_checksum=True).decode(decode_header(data), data)


def query(sql):
    return event(2, struct.pack("<IIBHH", 1, 0, 2, 0, 0) + b"db\0" + sql)


def test_events_are_decoded():
    assert decode(event(16, struct.pack("<Q", 7))) == Xid(7)
    assert decode(query(b"BEGIN")) == Query("db", "BEGIN", 0, thread=1)


def test_damaged_event_is_a_checksum_error():
    data = bytearray(query(b"BEGIN"))
    data[-6] ^= 1
    with pytest.raises(ChecksumMismatchError):
        decode(bytes(data))


def test_event_type_that_is_not_known_is_never_skipped():
    for kind in (0, 43, 99, 172, 255):
        with pytest.raises(UnknownMessageError, match="may carry rows"):
            decode(event(kind, b"1234"))


def test_unknown_event_that_says_it_may_be_ignored_is():
    assert decode(event(99, b"", flags=0x80)).name == "ignorable event of type 99"


def test_load_data_of_old_servers_and_incidents_stop_the_reading():
    for kind in (8, 12, 26):
        with pytest.raises(UnsupportedValueError) as caught:
            decode(event(kind, b"12345678"))
        assert caught.value.hint


@given(
    st.sampled_from([2, 4, 15, 16, 18, 19, 23, 24, 25, 30, 31, 32, 33, 34, 38, 39, 40, 42, 162, 165, 166, 169]),
    st.binary(max_size=120),
)
@settings(max_examples=400)
def test_any_event_body_gives_a_message_or_a_protocol_error(kind, body):
    try:
        decode(event(kind, body))
    except ProtocolError:
        return


def table_map(codes, metadata, *optional):
    """The body of a table map, with optional fields of (type, content)."""
    body = bytes(6) + bytes(2) + b"\x01d\0\x01t\0" + bytes((len(codes), *codes, len(metadata), *metadata)) + b"\0"
    return body + b"".join(bytes((kind, len(content))) + content for kind, content in optional)


LATIN1, UTF8MB4, BINARY = 8, 45, 63


def test_vectors_of_mysql_and_geometries_of_mariadb_count_among_texts():
    codes, charsets = (Code.VECTOR, Code.GEOMETRY, Code.BLOB), (3, bytes((BINARY, LATIN1)))
    for is_mariadb in (False, True):
        found = decode_table_map(table_map(codes, b"\4\4\2", charsets), is_mariadb=is_mariadb)
        assert found.columns[2].charset == "latin1"


def test_table_map_with_too_few_character_sets_is_an_error():
    with pytest.raises(ProtocolError, match="1 character sets for 2 columns"):
        decode_table_map(table_map((Code.BLOB, Code.BLOB), b"\2\2", (3, bytes((LATIN1,)))))


@pytest.mark.parametrize(
    ("collation", "raw", "labels"),
    [
        (LATIN1, b"\xe9", ("\u00e9",)),
        (UTF8MB4, "\u00e9".encode(), ("\u00e9",)),
        (BINARY, b"a", ("a",)),
        (UTF8MB4, b"\xe9", None),
        (32, b"a", None),  # armscii8
    ],
)
def test_labels_are_read_in_the_character_set_of_their_column(collation, raw, labels):
    body = table_map(
        (Code.STRING,), bytes((Code.ENUM, 1)), (10, bytes((collation,))), (6, b"\1" + bytes((len(raw),)) + raw)
    )
    (column,) = decode_table_map(body).columns
    assert column.labels == labels
    if labels is None:
        with pytest.raises(UnsupportedValueError, match="labels of enum column c"):
            resolve_decoder(column, "c")
    else:
        assert resolve_decoder(column, "c")(b"\1", 0) == (labels[0], 1)


@given(st.binary(max_size=80))
def test_any_table_map_gives_a_map_or_a_protocol_error(body):
    try:
        decode_table_map(body)
    except ProtocolError:
        return


@given(st.binary(max_size=120))
@settings(max_examples=400)
def test_any_bytes_are_json_or_a_protocol_error(data):
    try:
        json_from_binary(data)
    except ProtocolError:
        return


@given(st.sampled_from(list(Code)), st.integers(0, 8), st.binary(max_size=40))
@settings(max_examples=400)
def test_any_column_bytes_give_a_row_or_a_protocol_error(code, length, data):
    column = ColumnType(code=code, length=length, precision=10, scale=2, charset="utf8mb4", labels=("a", "b"))
    try:
        decoder = RowDecoder("d.t", [("c", column)])
        list(decoder.rows(Rows("write", 1, 1, 1, 1, data, 0)))
    except ProtocolError:
        return


def test_deeply_nested_json_is_an_error():
    data = b"\x05\x01\x00"
    for _ in range(200):
        data = b"\x02" + struct.pack("<HHBH", 1, 7 + len(data) - 1, data[0], 7) + data[1:]
    with pytest.raises(ProtocolError, match="nested too deeply"):
        json_from_binary(data)


@pytest.mark.parametrize(
    ("raw", "precision", "scale", "expected"),
    [("810d fb38d204d2", 14, 4, "1234567890.1234"), ("7e f204c72dfb2d", 14, 4, "-1234567890.1234"), ("80", 1, 0, "0")],
)
def test_decimals(raw, precision, scale, expected):
    assert decimal_text(bytes.fromhex(raw), 0, precision, scale)[0] == expected


def test_float_is_the_shortest_that_is_the_same():
    assert float_from_single(struct.pack("<f", 0.1), 0) == 0.1
    assert float_from_single(struct.pack("<f", 16777217.0), 0) == 16777216.0


def test_partial_json_applies_every_difference():
    diffs = b"\x00\x03$.a\x03\x05\x05\x00" + b"\x02\x03$.b" + b"\x01\x06$.c[1]\x03\x05\x09\x00"
    before = {"a": 1, "b": 2, "c": [1, 3]}
    assert apply_json_diffs(before, diffs) == {"a": 5, "c": [1, 9, 3]}
    assert before == {"a": 1, "b": 2, "c": [1, 3]}


def test_partial_json_counts_places_from_the_end_too():
    diffs = b"\x02\x07$[last]" + b"\x00\x09$[last-1]\x03\x05\x05\x00" + b"\x01\x07$[last]\x03\x05\x09\x00"
    assert apply_json_diffs([1, 2, 3, 4], diffs) == [1, 5, 9, 3]
    with pytest.raises(ProtocolError, match="does not have"):
        apply_json_diffs([1], b"\x02\x09$[last-1]")


def test_difference_to_a_path_that_is_not_there_is_an_error():
    with pytest.raises(ProtocolError, match="does not have"):
        apply_json_diffs({}, b"\x00\x03$.a\x03\x05\x05\x00")


def test_enum_and_set_values_beyond_their_labels_are_errors():
    for code, raw in ((Code.ENUM, b"\x03"), (Code.SET, b"\x04")):
        decoder = resolve_decoder(ColumnType(code=code, length=1, labels=("a", "b")), "c")
        with pytest.raises(ProtocolError):
            decoder(raw, 0)


def test_json_decimal_is_exact():
    raw = b"\x0f\xf6\x05\x05\x02\x80\x01\x32"
    assert json_from_binary(raw) == Decimal("1.50")


def test_a_json_decimal_without_fraction_is_the_integer_that_its_text_is():
    for text, raw in (("7", b"\x01\x00\x87"), ("-12", b"\x02\x00\x73")):
        value = json_from_binary(b"\x0f\xf6" + bytes((len(raw),)) + raw)
        assert (type(value), value) == (int, int(text))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (ColumnType(code=Code.LONGLONG, unsigned=True), "bigint unsigned"),
        (ColumnType(code=Code.VARCHAR, length=80, charset="utf8mb4"), "varchar(20)"),
        (ColumnType(code=Code.BLOB, length=2, charset="utf8mb4"), "text"),
        (ColumnType(code=Code.BLOB, length=4, charset="binary"), "longblob"),
        (ColumnType(code=Code.STRING, length=5, charset="binary"), "binary(5)"),
        (ColumnType(code=Code.NEWDECIMAL, precision=10, scale=2, unsigned=False), "decimal(10,2)"),
        (ColumnType(code=Code.DATETIME2, scale=3), "datetime(3)"),
        (ColumnType(code=Code.ENUM, labels=("a", "b'c")), "enum('a','b''c')"),
    ],
)
def test_declared_types(column, expected):
    assert declared_type(column) == expected


@pytest.mark.parametrize(
    "raw", [b"\x00abc", b"\x81\x03" + zlib.compress(b"abc"), b"\x8a\x00\x03" + zlib.compress(b"abc", wbits=-15)]
)
def test_compressed_columns(raw):
    decode = resolve_decoder(ColumnType(code=Code.BLOB_COMPRESSED, length=2, charset="latin1"), "c")
    assert decode(struct.pack("<H", len(raw)) + raw, 0) == ("abc", len(raw) + 2)
    assert decode(b"\0\0", 0) == ("", 2)
    for broken in (
        b"\x91\x03abc",
        b"\x81\x04" + zlib.compress(b"abc"),
        b"\x81\x02" + zlib.compress(b"abc"),
        b"\x8b\x00",
        b"\x81\x03abc",
    ):
        with pytest.raises(ProtocolError):
            decode(struct.pack("<H", len(broken)) + broken, 0)
