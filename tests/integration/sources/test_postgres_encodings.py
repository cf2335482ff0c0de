"""Databases whose encoding is not UTF-8: the server converts, or, with SQL_ASCII, does not know what its texts are."""

import base64
import contextlib

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.retry import Retry, retry_of
from tests.fixtures.database import Database
from tests.reading import brief, postgres_reader


@pytest.fixture(params=["postgres_15", "postgres_18"])
def database_of(request):
    """``database_of(encoding)``: a fresh database of that encoding."""
    server = request.getfixturevalue(request.param)
    with contextlib.ExitStack() as stack:

        def make(encoding):
            database = Database(server, f"enc_{encoding.lower()}")
            with server.connect() as connection:
                connection.execute(
                    f"create database {database.name} encoding '{encoding}' locale 'C' template template0".encode()
                )
            stack.callback(server.drop, database.name)
            return database

        yield make


@pytest.fixture
def reader_of(tmp_path):
    readers = []

    def make(database, **options):
        readers.append(postgres_reader(database, tmp_path / f"state{len(readers)}", **options))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def wrapped(data):
    return {"_base64": base64.b64encode(data).decode()}


@contextlib.contextmanager
def raw_session(database):
    """Statements in bytes, and what they name in bytes."""
    with database.connect() as connection:
        assert connection.info.parameter_status("server_encoding") == "SQL_ASCII"
        connection.execute("set client_encoding = 'SQL_ASCII'")
        yield connection


def test_bytes_of_no_encoding_are_text_where_they_are_utf8_and_bytes_where_not(database_of, reader_of):
    database = database_of("SQL_ASCII")
    latin, table = "größe".encode("latin-1"), "größe".encode("latin-1")
    with raw_session(database) as session:
        session.execute("create table t (k text primary key, v varchar, n int, a text[], j json)")
        session.execute("alter table t replica identity full")
        session.execute(b'create table "' + table + b'" (id int primary key, "' + latin + b'" text)')
        session.execute("create publication pub for all tables")
        reader = reader_of(database).open()
        start = reader.position
        session.execute("insert into t values ('größe', 'ok', 1, '{ä,b}', '{\"a\": \"ä\"}')".encode())
        session.execute(
            b"insert into t values ('" + latin + b"', 'x', 2, '{" + latin + b',b}\', \'{"a": "' + latin + b"\"}')"
        )
        session.execute(b"update t set n = 3, v = '" + latin + b"' where n = 2")
        session.execute(b"delete from t where k = '" + latin + b"'")
        session.execute(b'insert into "' + table + b"\" values (1, '" + latin + b"'), (2, 'ok')")
    good = {"k": "größe", "v": "ok", "n": 1, "a": ["ä", "b"], "j": {"a": "ä"}}
    bad = {
        "k": wrapped(latin), "v": "x", "n": 2, "a": wrapped(b"{" + latin + b",b}"), "j": wrapped(b'{"a": "' + latin + b'"}'),
    }  # fmt: skip
    changed = {**bad, "n": 3, "v": wrapped(latin)}
    expected = [
        ("c", None, good), ("c", None, bad), ("u", bad, changed), ("d", changed, None),
        ("c", None, {"id": 1, "gr\\xf6\\xdfe": wrapped(latin)}), ("c", None, {"id": 2, "gr\\xf6\\xdfe": "ok"}),
    ]  # fmt: skip
    events = reader.read(6)
    assert brief(events) == expected
    assert events[4].source.table == "gr\\xf6\\xdfe"
    assert [column.name for column in events[4].schema.columns] == ["id", "gr\\xf6\\xdfe"]
    assert events[4].schema.primary_key == ("id",)
    assert brief(reader.restart().open(start).read(6)) == expected


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "WIN1251"])
def test_known_encodings_come_as_what_they_mean(database_of, reader_of, encoding):
    database, text = database_of(encoding), {"LATIN1": "größe", "EUC_JP": "日本", "WIN1251": "привет"}[encoding]
    database.execute(
        f'create table "{text}" (id int primary key, "{text}2" text)', "create publication pub for all tables"
    )
    reader = reader_of(database).open()
    database.execute(f"insert into \"{text}\" values (1, '{text}')")
    (event,) = reader.read(1)
    assert (event.source.table, event.after) == (text, {"id": 1, f"{text}2": text})


def test_a_character_that_has_no_unicode_is_an_error_that_ends_the_retries(database_of, reader_of):
    database = database_of("WIN1252")
    database.execute("create table t (v text)", "create publication pub for all tables")
    reader = reader_of(database).open()
    with database.connect() as connection:
        connection.execute("set client_encoding = 'WIN1252'")
        connection.execute(b"insert into t values ('\x81')")
    with pytest.raises(SourceError, match="no equivalent in encoding") as caught:
        reader.read(1)
    assert retry_of(caught.value) is Retry.OPERATOR
    assert "reset the checkpoint" in caught.value.hint


def test_an_encoding_that_has_no_way_to_utf8_is_refused_by_name(database_of, reader_of):
    database = database_of("MULE_INTERNAL")
    with pytest.raises(SourceError, match="MULE_INTERNAL") as caught:
        reader_of(database).open()
    assert retry_of(caught.value) is Retry.OPERATOR
