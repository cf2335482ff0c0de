"""What copied rows say of their place in their copy."""

import pytest

from deltaforge.core.snapshot import SnapshotJob, TableCopy
from tests.databases import database_with
from tests.pipelines import mysql_source, postgres_source
from tests.stepped import SteppedCopy, source_spec

TABLES = [f"create table {name} (id int primary key)" for name in ("a", "b", "nothing")]


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, *TABLES) as database:
        database.execute(f"insert into a values {', '.join(f'({n})' for n in range(1, 8))}", "insert into b values (1)")
        yield database


@pytest.fixture
def steps(database, tmp_path):
    source = (mysql_source if database.server.scheme == "mysql" else postgres_source)(database)
    steps = SteppedCopy(source_spec(source), tmp_path / "state", chunk_size=3, max_parallel_tables=1)
    yield steps
    steps.close()


def marks(events):
    return [(event.source.table, event.after["id"], event.origin.snapshot, event.source.snapshot) for event in events]


def test_an_initial_copy_has_a_first_and_a_last_row(steps, database):
    schema = database.name if database.server.scheme == "mysql" else "public"
    tables = tuple(TableCopy(schema, name) for name in ("nothing", "a", "b"))
    steps.snapshots.request(SnapshotJob("job", "initial", tables))
    assert marks(steps.finish()) == [
        ("a", 1, "first", "true"),
        *(("a", number, None, "true") for number in range(2, 7)),
        ("a", 7, "last_in_data_collection", "true"),
        ("b", 1, "last", "true"),
    ]


def test_a_copy_beside_the_log_is_incremental(steps, database):
    steps.request(((database.name if database.server.scheme == "mysql" else "public"), "a"))
    assert marks(steps.finish()) == [("a", number, "incremental", "true") for number in range(1, 8)]
