"""Tables that were there before the pipeline: copied once, then followed."""

import pytest

from tests.destinations import FileDestination
from tests.pipelines import wait_for
from tests.snapshots import (
    add_items,
    ask,
    copied_ids,
    create_items,
    pipeline_with_snapshot,
    saved_snapshots,
    wait_until_copied,
)


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def pipeline_of(tmp_path, database):
    made = []

    def make(sinks, **options):
        made.append(pipeline_with_snapshot(tmp_path, database, sinks, **options))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.end()


def test_initial_once_always_each_start(database, pipeline_of, tmp_path):
    create_items(database, 25)
    destination = FileDestination(tmp_path)
    pipeline = pipeline_of([destination.sink])
    pipeline.start()
    wait_until_copied(pipeline)
    add_items(database, range(26, 28))
    wait_for(lambda: len(destination.events()) >= 27)
    assert pipeline.stop() == 0

    first, later = destination.events()[:25], destination.events()[25:]
    assert sorted(copied_ids(first)) == list(range(1, 26))
    assert [(event["op"], event["after"]["id"]) for event in later] == [("c", 26), ("c", 27)]
    assert {event["source"]["snapshot"] for event in first} == {"true"}
    assert not any(event["before"] or event.get("transaction") for event in first)
    assert len({event["schema_version"] for event in [*first, *later]}) == 1
    assert set(first[0]["after"]) == set(later[0]["after"])

    pipeline.start()
    add_items(database, range(28, 29))
    wait_for(lambda: len(destination.events()) >= 28)
    assert pipeline.stop() == 0
    assert len(copied_ids(destination.events())) == 25
    assert [(job.kind, job.status) for job in saved_snapshots(pipeline)] == [("initial", "completed")]

    pipeline.document["spec"]["source"]["config"]["snapshot"]["mode"] = "always"
    pipeline.start()
    wait_until_copied(pipeline, 2)
    assert pipeline.stop() == 0
    again = destination.events()[28:]
    assert sorted(copied_ids(again)) == list(range(1, 29))
    assert not {event["event_id"] for event in first} & {event["event_id"] for event in again}


def test_a_table_that_is_captured_later_is_copied_on_its_own(database, pipeline_of, tmp_path):
    create_items(database, 3)
    database.execute("create table later (id bigint primary key)", "insert into later values (1), (2)")
    is_mysql = database.server.scheme == "mysql"
    if not is_mysql:
        database.execute("drop publication pub", "create publication pub for table items")
    destination = FileDestination(tmp_path)
    pipeline = pipeline_of([destination.sink])
    if is_mysql:
        pipeline.document["spec"]["source"]["config"]["tables"] = [f"{database.name}.items"]
    pipeline.start()
    wait_until_copied(pipeline)
    assert len(destination.events()) == 3
    if is_mysql:
        assert pipeline.stop() == 0
        pipeline.document["spec"]["source"]["config"]["tables"] = [f"{database.name}.*"]
        pipeline.start()
    else:
        database.execute("alter publication pub add table later")
        assert pipeline.ask("reload_schemas")["ok"]
    wait_until_copied(pipeline, 2)
    database.execute("insert into later values (3)")
    wait_for(lambda: len(destination.events()) == 6)
    assert pipeline.stop() == 0
    added = [(event["source"]["table"], event["op"], event["after"]["id"]) for event in destination.events()[3:]]
    assert added == [("later", "r", 1), ("later", "r", 2), ("later", "c", 3)]
    assert [job.kind for job in saved_snapshots(pipeline)] == ["initial", "new_table"]


def test_idle_mysql_chunk_needs_no_write(database, pipeline_of, tmp_path):
    """Nor does one of PostgreSQL; of MySQL, the log ends with a new file that holds no transaction."""
    create_items(database, 3)
    destination = FileDestination(tmp_path)
    pipeline = pipeline_of([destination.sink], snapshot={"mode": "never"})
    pipeline.start()
    for number, statement in enumerate(["flush binary logs", "flush logs", "select 1"]):
        database.execute(statement if database.server.scheme == "mysql" else "select 1")
        assert ask(pipeline, cmd="snapshot", request={"id": f"{number}a", "tables": ["items"]})["ok"]
        wait_until_copied(pipeline, number + 1)
    assert pipeline.stop() == 0
    assert copied_ids(destination.events()) == [1, 2, 3] * 3
