"""Numbers in JSON documents: the value and the digits that the server has, of every length. The reader compares what the
kernel writes with what Python does.
"""

import json
import random
import re
from decimal import Decimal

from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from tests.fuzz.numbers import document_text
from tests.reading import mysql_reader, postgres_reader

BEYOND_NUMERIC = re.compile(r"[eE][+-]?\d{5}")
NATIVE = JsonEncoder(NativeEnvelope())


class Number(str):
    """The characters of a number."""

    __slots__ = ()


def numbers_of(value, path=()):
    """Every number of a parsed document, with the way to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {at: text for name, item in items for at, text in numbers_of(item, (*path, name)).items()}
    return found | ({path: value} if isinstance(value, Number) else {})


def parsed(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


def is_float(text):
    """Whether a float is the number, in no more digits than floats have: then it is written as one."""
    number = Decimal(text)
    return Decimal(repr(float(text))) == number and len(number.as_tuple().digits) <= 17


def assert_written(events, printed, is_kept):
    """The documents of events have the numbers of the server's texts, with the same characters where ``is_kept``."""
    kept = 0
    for event, texts in zip(events, printed, strict=True):
        after = parsed(NATIVE.encode(event))["after"]
        for column, text in texts.items():
            ours, servers = numbers_of(after[column]), numbers_of(parsed(text))
            assert ours.keys() == servers.keys()
            for path, number in servers.items():
                assert Decimal(ours[path]) == Decimal(number), (ours[path], number)
                if is_kept(number):
                    assert ours[path] == number
                    kept += 1
    assert kept > 50


def test_numbers_of_postgresql_keep_value_and_digits(any_postgres_database, tmp_path):
    rnd = random.Random(17)
    any_postgres_database.execute(
        "create table t (id int primary key, j json, b jsonb)", "create publication pub for all tables"
    )
    reader = postgres_reader(any_postgres_database, tmp_path / "state").open()
    texts = [text for text in (document_text(rnd) for _ in range(200)) if not BEYOND_NUMERIC.search(text)]
    with any_postgres_database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany("insert into t values (%s, %s, %s)", [(n, text, text) for n, text in enumerate(texts)])
        cursor.execute(
            "insert into t select 1000 + n, json_build_object('score', n / 8.0, 'rate', n / 7e9),"
            " jsonb_build_object('score', n / 8.0, 'rate', n / 7e9, 'sum', n::numeric(60, 30)) from generate_series(1, 50) n"
        )
    printed = any_postgres_database.rows("select j::text, b::text from t order by id")
    events = reader.read(len(printed))
    reader.close()
    assert_written(events, [{"j": j, "b": b} for j, b in printed], lambda text: not is_float(text) and text != "-0")


def test_numbers_of_mysql_keep_value_and_digits(mysql_database, tmp_path):
    mysql_database.execute("create table t (id int primary key, j json)")
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    rnd, rows = random.Random(3), []
    for n in range(150):
        scale = rnd.randint(0, 30)
        digits = f"{rnd.getrandbits(rnd.choice((1, 8, 30, 60, 100)))}{'0' * rnd.choice((0, 1, 5))}"[-65:]
        decimal = Decimal(digits).scaleb(-rnd.randint(0, scale)) * rnd.choice((1, -1))
        rows.append(
            f"({n}, json_object('d', cast({decimal:f} as decimal(65, {scale})), 'x', cast({decimal:f} as double)))"
        )
    mysql_database.execute(f"insert into t values {', '.join(rows)}")
    printed = mysql_database.rows("select cast(j as char) from t order by id")
    assert_written(
        reader.read(len(rows)), [{"j": j} for (j,) in printed], lambda text: not is_float(text) or _has_zeros(text)
    )

    with mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute(
            "update t set j = json_set(j, '$.d', cast(id / 8 as decimal(40, 25)), '$.more', json_array(0.000000012))"
        )
    printed = mysql_database.rows("select cast(j as char) from t order by id")
    events = reader.read(len(rows))
    reader.close()
    assert_written(events, [{"j": j} for (j,) in printed], lambda text: not is_float(text) or _has_zeros(text))


def test_a_number_that_no_float_holds_is_written_as_it_stands(postgres_database, tmp_path):
    texts = ["0.00000012345678901234567890", "1E400", "-1.50e-400", "12345678901234567890.10", "9" * 40]
    postgres_database.execute("create table t (id int primary key, j json)", "create publication pub for all tables")
    reader = postgres_reader(postgres_database, tmp_path / "state").open()
    postgres_database.execute(*(f"insert into t values ({n}, '[{text}]')" for n, text in enumerate(texts)))
    events = reader.read(len(texts))
    reader.close()
    assert all(f'"j":[{text}]'.encode() in NATIVE.encode(event) for event, text in zip(events, texts, strict=True))


def _has_zeros(text):
    return "." in text and text.endswith("0") and not text.endswith(".0")
