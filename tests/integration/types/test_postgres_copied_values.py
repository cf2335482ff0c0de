"""What a chunk has for a row is what the log has for it, byte by byte: every type, envelope and encoding, in the kernel
and in Python. Tables out of hypothesis are copied in ``test_random_rows.py``.
"""

import contextlib

import pytest

from deltaforge.core.json_text import encode_json
from deltaforge.core.routing import row_key
from tests.copied_chunks import copied_events, copier_of
from tests.fixtures.database import Database
from tests.integration.types.test_postgres_types import prepared  # noqa: F401 - a fixture
from tests.reading import postgres_reader

SETTINGS = {
    "timezone": "'Asia/Tokyo'", "datestyle": "'German, DMY'", "intervalstyle": "'iso_8601'", "bytea_output": "'escape'",
    "extra_float_digits": "-3", "search_path": "pg_catalog", "quote_all_identifiers": "on",
}  # fmt: skip


def assert_copied_as_logged(reader, count, name="t"):
    logged = {event.after["id"]: event for event in reader.read(count)}
    copy = copier_of(reader)
    try:
        copied = copied_events(copy.all(copy.plan(name)))
    finally:
        copy.chunks.close()
    assert len(copied) == len(logged)
    for event in copied:
        like = logged[event.after["id"]]
        assert encode_json(event.after) == encode_json(like.after)
        assert (row_key(event), event.schema_version, event.schema) == (row_key(like), like.schema_version, like.schema)
        assert event.schema_sequence == like.schema_sequence


def test_snapshot_value_is_stream_value(prepared, tmp_path):  # noqa: F811 - the fixture
    database, cases = prepared
    settings = (f"alter database {database.name} set {name} = {value}" for name, value in SETTINGS.items())
    definitions = ", ".join(f'"c {n}" {case[0]}' for n, case in enumerate(cases))
    database.execute(f"create table t (id serial primary key, {definitions})", *settings)
    reader = postgres_reader(database, tmp_path / "state").open()
    try:
        with database.connect() as connection:
            connection.execute("set search_path = public; set datestyle = 'ISO, MDY'")
            for n, case in enumerate(cases):
                for literal in case[1]:
                    connection.execute(f'insert into t ("c {n}") values ({literal})')
        assert_copied_as_logged(reader, sum(len(case[1]) for case in cases))
    finally:
        reader.close()


TEXTS = {
    "SQL_ASCII": "größe\\日本".encode() + b"\xff\t",
    "LATIN1": "größe\\\n".encode("latin-1"),
    "EUC_JP": "日本".encode("euc-jp"),
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_texts_of_any_encoding_are_copied_as_logged(encoding, postgres, tmp_path):
    database = Database(postgres, f"copy_{encoding.lower()}")
    with postgres.connect() as admin:
        admin.execute(f"create database {database.name} encoding '{encoding}' locale 'C' template template0")
    with contextlib.ExitStack() as stack:
        stack.callback(postgres.drop, database.name)
        session = stack.enter_context(database.connect())
        session.execute(f"set client_encoding = '{encoding}'")
        session.execute("create table t (id int primary key, v text, a text[])")
        session.execute("create publication pub for all tables")
        reader = postgres_reader(database, tmp_path / "state").open()
        stack.callback(reader.close)
        text = TEXTS[encoding].replace(b"'", b"''")
        session.execute(b"insert into t values (1, '" + text + b"', array['" + text + b"']), (2, null, '{}')")
        assert_copied_as_logged(reader, 2)
