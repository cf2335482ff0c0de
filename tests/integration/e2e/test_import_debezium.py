"""A document out of a connector's configuration, run as it is: PostgreSQL to Kafka."""

import json
import os
import subprocess
import sys

from tests.pipelines import wait_for

COMMAND = [sys.executable, "-P", "-m", "deltaforge"]
JSON = "org.apache.kafka.connect.json.JsonConverter"


def test_an_imported_connector_runs(postgres_18, kafka, tmp_path):
    with postgres_18.fresh_database() as database:
        name, server = database.name, database.server
        database.execute(
            "create table orders (id int primary key, price numeric(10,2), note text)",
            "create table orders_log (id int primary key)",
            "create table items (id int primary key)",
            "insert into orders values (1, 1.50, 'old')",
            f"create publication {name} for all tables",
        )
        config = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": server.host,
            "database.port": str(server.port),
            "database.user": server.user,
            "database.password": server.password,
            "database.dbname": name,
            "topic.prefix": f"{name}.x",
            "plugin.name": "pgoutput",
            "slot.name": name,
            "publication.name": name,
            "publication.autocreate.mode": "disabled",
            "table.exclude.list": r"public\.orders_.*",
            "decimal.handling.mode": "string",
            "tombstones.on.delete": "true",
        }
        (tmp_path / "connector.json").write_text(json.dumps({"name": name, "config": config}))
        worker = f"bootstrap.servers={kafka.bootstrap}\n"
        for part in ("key", "value"):
            worker += f"{part}.converter={JSON}\n{part}.converter.schemas.enable=false\n"
        (tmp_path / "worker.properties").write_text(worker)
        environment = dict(os.environ) | {"PGPASSWORD": server.password}
        files = ["connector.json", "--worker", "worker.properties", "-o", "p.yaml"]
        for command in (["import-debezium", *files], ["validate", "--strict", "p.yaml"], ["doctor", "p.yaml"]):
            done = subprocess.run(
                [*COMMAND, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        with (tmp_path / "err").open("wb") as errors:
            process = subprocess.Popen(
                [*COMMAND, "run", "p.yaml"], cwd=tmp_path, env=environment, stdout=errors, stderr=errors
            )
        try:
            topic = f"{name}.x.public.orders"
            wait_for(lambda: kafka.messages(topic))
            database.execute("insert into orders_log values (7)", "delete from orders", "insert into items values (3)")
            wait_for(lambda: kafka.messages(f"{name}.x.public.items"))
            wait_for(lambda: len(kafka.messages(topic)) == 3)
        finally:
            process.terminate()
            assert process.wait(60) == 0, (tmp_path / "err").read_text()
        copied, deleted, tombstone = kafka.messages(topic)
        assert [json.loads(message.key()) for message in (copied, deleted, tombstone)] == [{"id": 1}] * 3
        assert tombstone.value() is None
        payload = json.loads(copied.value())
        assert (payload["op"], payload["after"]) == ("r", {"id": 1, "price": "1.50", "note": "old"})
        assert payload["source"]["name"] == f"{name}.x"
        assert json.loads(deleted.value())["op"] == "d"
        assert not kafka.messages(f"{name}.x.public.orders_log")
