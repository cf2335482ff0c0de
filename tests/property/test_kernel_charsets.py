"""Text of every character set that MySQL columns have, by the kernel and by Python's decoders."""

import random

import pytest

from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel import backend, compiled, description
from deltaforge.protocol.mysql.charsets import _CODECS, text_decoder
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.mysql.group import RowGroup, row_group
from tests.fuzz.mysql_input import schema_of
from tests.fuzz.mysql_rows import PLACE
from tests.schemas import registered

pytestmark = pytest.mark.skipif(compiled is None, reason=description)

CHARSETS = sorted({"latin1"} | {name for name, codec in _CODECS.items() if codec})
NATIVE = JsonEncoder(NativeEnvelope())
WORDS = (
    "plain",
    'say "\\"\n',
    "été",
    "привет",
    "中文",
    "日本語テスト",
    "한국어",
    "ελληνικά",
    "\uff3c\u301c",
    "\U0001f600",
    "",
)


def texts_in(charset, rnd):
    """Characters of the set, and bytes that may be none."""
    codec = "cp1252" if charset == "latin1" else _CODECS[charset]
    words = [word.encode(codec, "ignore") for word in WORDS]
    for _ in range(400):
        parts = [rnd.choice(words) for _ in range(rnd.randint(1, 4))]
        if rnd.random() < 0.4:
            parts.append(rnd.randbytes(rnd.randint(1, 4)))
        yield b"".join(parts)


@pytest.mark.parametrize("charset", CHARSETS)
def test_text_of_a_character_set(charset):
    columns = [("c", ColumnType(code=Code.VARCHAR, length=1000, charset=charset))]
    table = CapturedTable(registered(schema_of(columns, ())), columns, EventMapper("p", "t"), is_outbox=False)
    texts = list(texts_in(charset, random.Random(charset)))
    data = b"".join(b"\0" + len(text).to_bytes(2, "little") + text for text in texts)
    rows, transaction = Rows("write", 1, 1, 1, 1, data, 0), backend.Transaction("mysql", "s", "f:4", "", None)

    group = row_group(table, rows, transaction, PLACE)
    by_python = NATIVE.encode_each([RowGroup(table, rows, transaction, PLACE)])

    assert isinstance(group, compiled.RowGroup)
    assert list(NATIVE.encode_groups([group])) == list(by_python)
    values, row, declined = compiled.EncodedEvents(), 0, []
    while (found := values.extend([group], 0, row, NATIVE.form))[0] == 0:
        declined.append(texts[found[1]])
        row = found[1] + 1
    assert len(values) > 50
    if charset not in ("gb18030", "ujis", "eucjpms"):  # characters of more than two bytes are left to Python
        assert not any(is_text(text, charset) for text in declined)


def is_text(raw, charset):
    try:
        text_decoder(charset, "")(raw)
    except UnicodeDecodeError:
        return False
    return True
