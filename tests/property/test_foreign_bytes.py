"""Whatever bytes a server sends, a decoder gives a value or an error of ours."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.mysql.events import _BODIES, _ROWS, BinlogDecoder, decode_header
from deltaforge.protocol.mysql.json_diff import INSERT, REMOVE, REPLACE, apply_json_diffs
from deltaforge.protocol.mysql.jsonb import json_from_binary
from deltaforge.protocol.mysql.table_map import decode_table_map
from deltaforge.protocol.postgres.arrays import array_from_text, hstore_from_text
from deltaforge.protocol.postgres.messages import decode_frame, decode_message
from deltaforge.protocol.postgres.values import DECODERS
from tests.binlog import TABLE_MAP, binlog_event
from tests.fuzz import mysql_input, mysql_rows, postgres_rows
from tests.fuzz.mysql_input import damaged

EVENT_TYPES = st.sampled_from(sorted({15, TABLE_MAP, *_BODIES, *_ROWS})) | st.integers(0, 255)
RAW = st.binary(max_size=80)
PATHS = ("$", "$.a", "$[0]", '$."a\\u00e9"', "$[4294967295]", "$[99999999999]", '$."\\ud800"', "$[0][1]", "$[\u0663]",
         f"$[{'9' * 5000}]")  # fmt: skip
MARKS = st.text(st.sampled_from('0123456789eE+-.{}[]",\\ :tfnuNaI=>\0\u0663\u00b2\U0001f600_x'), max_size=14)
MAP_HEAD = struct.pack("<IHH", 1, 0, 0) + b"\x01d\0\x01t\0"


def value_or_error(decode, *arguments, **options):
    """What a decoder gives; None for an error of ours. Everything else fails the test."""
    try:
        return decode(*arguments, **options)
    except DeltaForgeError:
        return None


@given(EVENT_TYPES, RAW, st.booleans())
def test_events_of_a_binary_log(kind, body, is_inner):
    event = binlog_event(kind, body)
    decoder = BinlogDecoder(has_checksum=False)
    value_or_error(decoder.decode, decode_header(event), event, is_inner=is_inner)


def test_table_maps_with_damaged_metadata():
    rnd, known = random.Random(8), 0
    for _ in range(2000):
        codes = bytes(column.code & 255 for _, column in mysql_input.row_event(rnd)[0])
        metadata = rnd.randbytes(2 * len(codes))
        body = MAP_HEAD + bytes((len(codes),)) + codes + bytes((len(metadata),)) + metadata
        body += bytes((len(codes) + 7) // 8)
        for kind in rnd.sample(range(1, 14), 5):
            field = bytes(rnd.randrange(5) for _ in range(rnd.randrange(8)))
            body += bytes((kind, len(field))) + field
        known += value_or_error(decode_table_map, body, is_mariadb=rnd.random() < 0.5) is not None
        value_or_error(decode_table_map, damaged(rnd, body))
    assert known > 100


def test_json_documents_and_differences():
    rnd, changed = random.Random(9), 0
    for _ in range(3000):
        raw = mysql_input.json_binary(rnd)
        value_or_error(json_from_binary, damaged(rnd, raw))
        document = value_or_error(json_from_binary, raw)
        path = rnd.choice(PATHS).encode()
        difference = bytes((rnd.choice((REPLACE, INSERT, REMOVE, 3)),)) + packed(path) + packed(raw)
        changed += value_or_error(apply_json_diffs, document, difference) is not None
        value_or_error(apply_json_diffs, document, damaged(rnd, difference))
    assert changed > 100


def packed(raw):
    return (bytes((len(raw),)) if len(raw) < 251 else b"\xfc" + struct.pack("<H", len(raw))) + raw


@pytest.mark.parametrize("module", [mysql_rows, postgres_rows], ids=["mysql", "postgres"])
def test_rows(module):
    for number in range(300):
        case = module.Case(random.Random(f"foreign-{number}"), damage=0.8)
        case.by_python()  # lets every error but ours through
        if kernel is not None:
            case.by_kernel()


@given(st.sampled_from(sorted(b"BCRIUDTMOYwkx")), RAW)
def test_messages_of_a_replication_connection(tag, body):
    value_or_error(decode_message, bytes((tag,)) + body)
    value_or_error(decode_frame, bytes((tag,)) + body)


@given(MARKS | st.text(max_size=20))
def test_texts_of_postgres_values(text):
    for decode in DECODERS.values():
        value_or_error(decode, text)
        value_or_error(array_from_text, text, decode)
        value_or_error(array_from_text, f"{{{text}}}", decode)
    value_or_error(hstore_from_text, f'"{text}"=>{text}')
    value_or_error(parse_json_exact, f"[{text}]")


@pytest.mark.parametrize("name", sorted(DECODERS))
@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 5000, "1e99999", "[" * 5000, '{"' * 3000, "{" * 5000, "\\"])
def test_long_texts_of_postgres_values(name, text):
    value_or_error(DECODERS[name], text)
    value_or_error(array_from_text, f"{{{text}}}", DECODERS[name])
