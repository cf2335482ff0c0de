"""Pipelines with Avro: rows of real servers as consumers read them, over DDL and a registry that comes and goes."""

import json
import uuid
from decimal import Decimal

import pytest

from tests.avro import reading
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.set_ups import kafka_sink

DATABASES = ["mysql", "postgres"]


@pytest.fixture(params=DATABASES)
def shop(request):
    """A database with a table, and the source that reads it."""
    database = request.getfixturevalue(f"{request.param}_database")
    database.execute("create table orders (id int primary key, price numeric(10,2) not null, note varchar(40))")
    if request.param == "mysql":
        return database, mysql_source(database)
    database.execute("create publication pub for all tables")
    return database, postgres_source(database)


@pytest.fixture
def pipeline(tmp_path, kafka):
    """``pipeline(source, registry)``: one that writes both kinds of records."""
    started = []

    def start(source, registry):
        topic, encoding = uuid.uuid4().hex, {"type": "avro", "schema_registry_url": registry.url}
        sinks = [
            kafka_sink(kafka, f"{topic}.cdc.${{source.table}}", encoding=encoding),
            kafka_sink(
                kafka, f"{topic}.dbz.${{source.table}}", id="debezium", encoding=encoding,
                envelope={"type": "debezium", "dialect": "connect"},
            ),
        ]  # fmt: skip
        started.append(PipelineProcess(tmp_path, source, sinks).start())
        return started[-1], topic

    yield start
    for process in started:
        process.end()


@pytest.mark.parametrize("shop", ["mysql"], indirect=True)
def test_every_row_arrives_once_the_registry_is_there_and_the_state_says_why_not(
    shop, pipeline, kafka, private_registry
):
    (database, source), registry = shop, private_registry(starts=False)
    process, topic = pipeline(source, registry)

    def waits():
        return "schema registry" in json.dumps(process.ask("status"))

    def arrived(count):
        process.assert_runs()
        try:
            return all(len(kafka.messages(f"{topic}.{kind}.orders")) == count for kind in ("cdc", "dbz"))
        except KeyError:
            return False

    database.execute("insert into orders values (1, 12.50, 'first'), (2, -0.01, null)")
    wait_for(waits)
    registry.start()
    wait_for(lambda: arrived(2))
    wait_for(lambda: not waits())
    database.execute("alter table orders add column sum double precision", "insert into orders values (3, 3, 'x', 1.5)")
    wait_for(lambda: arrived(3))
    registry.kill()
    database.execute("update orders set note = 'y' where id = 3")  # of a schema that is known
    wait_for(lambda: arrived(4))
    database.execute("alter table orders add column extra int", "insert into orders values (4, 4, 'z', null, 7)")
    wait_for(waits)
    registry.start()
    wait_for(lambda: arrived(5))
    registry.kill()
    (registry.process.folder / "h2.mv.db").unlink()  # wiped, and nobody writes meanwhile
    registry.start()
    registry.post("/subjects/other/versions", {"schema": '{"type":"string"}'})
    assert process.stop() == 0
    process.start()
    database.execute("insert into orders values (5, 5, 'after', 0.5, 8)")
    wait_for(lambda: arrived(6))
    for kind in ("cdc", "dbz"):
        last = kafka.messages(f"{topic}.{kind}.orders")[-1]
        assert registry.schema(int.from_bytes(last.value()[1:5], "big"))["name"] == "Envelope"


def test_rows_are_those_of_the_table(shop, pipeline, kafka, registry):
    database, source = shop
    _, topic = pipeline(source, registry)
    database.execute(
        "insert into orders values (1, 12.50, 'first'), (2, -0.01, null)",
        "update orders set price = 99999999.99 where id = 1",
        "alter table orders add column sum double precision",
        "insert into orders values (3, 3, 'x', 1.5)",
        "delete from orders where id = 2",
        "alter table orders drop column note",
        "insert into orders values (4, 4, null)",
    )
    for kind, count in (("cdc", 6), ("dbz", 7)):  # Debezium has a tombstone behind a delete
        name = f"{topic}.{kind}.orders"

        def messages(name=name):
            try:
                return kafka.messages(name)
            except KeyError:
                return []

        wait_for(lambda messages=messages, count=count: len(messages()) == count)
        table = {}
        with reading(kafka, registry) as reader:
            for key, value in reader.messages(name):
                if value is None or value["op"] == "d":
                    table.pop(key["id"], None)
                else:
                    table[key["id"]] = value["after"]
        names = ("id", "price", "sum")
        expected = {row[0]: tuple(row) for row in database.rows("select id, price, sum from orders")}
        assert {key: tuple(row.get(name) for name in names) for key, row in table.items()} == expected
        assert expected[1][1] == Decimal("99999999.99")
