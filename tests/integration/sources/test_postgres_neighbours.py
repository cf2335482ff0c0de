"""What is done in a schema or database that is not captured neither stops a pipeline nor reaches its sinks."""

import psycopg
import pytest

from tests.fixtures.database import Database
from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for

NESTED = "[" * 1100 + "]" * 1100

TYPES = (
    "create type other.bool as enum ('a b', 'c')", "create type other.timestamp as enum ('a b')",
    "create type other.bytea as range (subtype = int4)", "create domain other.text as int",
    "create table other.typed (id int primary key, a other.bool, b other.timestamp, c other.bytea, d other.text)",
    "insert into other.typed values (1, 'a b', 'a b', '[1,5)', 7)", "update other.typed set a = 'c'",
    "begin; update other.typed set a = 'a b'; alter table other.typed alter a type varchar; drop type other.bool; commit",
    "delete from other.typed",
)  # fmt: skip
VALUES = (
    "create table other.j (id serial, j json)", "insert into other.j (j) values ('{\"n\":1e1000000000000000000}')",
    f"insert into other.j (j) values ('{NESTED}')", "insert into other.j (j) values ('\"\\ud83d\"')",
    "create table other.urls (url varchar primary key, hits int)",
    "insert into other.urls select string_agg(md5(n::varchar), '/'), 0 from generate_series(1, 70) n",
    "update other.urls set hits = hits + 1", "create table other.big (id int, v varchar)",
    "insert into other.big select n, repeat('x', 100) from generate_series(1, 50000) n",
)  # fmt: skip
DEFINITIONS = (
    'create table other."größe "" . x" ("a,b" int)', 'insert into other."größe "" . x" values (1)',
    "alter table other.big replica identity nothing",
    "alter table other.big add g int generated always as (id * 2) stored", "vacuum full other.big",
    "create table other.parts (id int) partition by list (id)", "create table other.p1 partition of other.parts default",
    "insert into other.parts values (1)", "alter table other.parts detach partition other.p1",
    "create unlogged table other.unlogged (id int)", "alter table other.unlogged set logged",
    "truncate other.big, other.urls restart identity cascade", "alter table other.j rename to renamed",
    "create publication others for table other.urls", "drop publication others", "drop table other.renamed",
    "begin; insert into other.urls values ('a', 1); savepoint s; delete from other.urls; rollback to s; commit",
    "begin; insert into other.urls values ('p', 1); prepare transaction 'one'", "commit prepared 'one'",
    "begin; insert into other.urls values ('q', 1); prepare transaction 'two'", "rollback prepared 'two'",
    "begin; insert into other.urls values ('r', 1); prepare transaction 'three'",
)  # fmt: skip
LAST = (
    "rollback prepared 'three'",
    "drop schema other cascade",
    "create schema other",
    "create table other.locked (id int)",
)


@pytest.fixture(params=[15, 18])
def server(request, private_postgres):
    return private_postgres("-c", "max_prepared_transactions=5", version=request.param)


@pytest.fixture
def pipelines():
    """Pipelines that end with the test."""
    started = []
    yield started
    for pipeline in started:
        pipeline.end()


def do_all(database, statements, before_each):
    """Run each statement by itself, as a client of the simple protocol does."""
    with database.connect() as connection:
        for statement in statements:
            before_each()
            connection.execute(statement)


def test_a_neighbour_may_do_anything(server, tmp_path, pipelines):
    with server.fresh_database() as database:
        database.execute(
            "create schema app", "create schema other", "create table app.t (id serial primary key)",
            "create publication pub for all tables",
        )  # fmt: skip
        out = tmp_path / "out.jsonl"
        pipeline = PipelineProcess(tmp_path, postgres_source(database, tables=["app.*"]), [file_sink(out)]).start()
        pipelines.append(pipeline)
        inserted = []

        def insert_ours():
            inserted.append(len(inserted) + 1)
            database.execute("insert into app.t default values")

        do_all(database, (*TYPES, *VALUES, *DEFINITIONS), insert_ours)
        with_other_encoding(server, insert_ours)
        do_all(database, LAST, insert_ours)
        wait_for(lambda: ids(out) == inserted)
        status = pipeline.ask("status")
        assert (status["state"], status["source"]["reconnects"], status["source"]["last_error"]) == ("running", 0, None)
        with psycopg.connect(database.url()) as locking:
            locking.execute("lock table other.locked in access exclusive mode")
            assert pipeline.stop() == 0
            pipeline.start()
            insert_ours()
            wait_for(lambda: ids(out) == inserted)
        assert {event["source"]["schema"] for event in file_events(out)} == {"app"}


def ids(out):
    return [event["after"]["id"] for event in file_events(out)]


def with_other_encoding(server, before_each):
    name = "bytes_of_any_kind"
    with server.connect() as connection:
        connection.execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' template template0")
    other = Database(server, name)
    before_each()
    with other.connect() as connection:
        connection.execute("set client_encoding = 'SQL_ASCII'")
        connection.execute(b'create table "gr\xf6\xdfe" (v text)')
        connection.execute(b"insert into \"gr\xf6\xdfe\" values ('\xff')")
        connection.execute("select pg_logical_emit_message(true, 'x', '\\xff'::bytea)")
    before_each()
    server.drop(name)
