"""``python -m tests.compat.jdbc``: Debezium's JDBC sink connector reads our topics and keeps tables in PostgreSQL.

A random workload with deletes and changes of keys goes on while we copy and read the source; the tables that the connector
has made must be those of the source.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.converters import converters
from benchmarks.servers import Servers
from tests.compat.cases import AVRO, SCHEMAS
from tests.compat.connect import ConnectWorker, jars
from tests.fixtures.fix_registry import start_registry
from tests.fixtures.local_server import installed
from tests.pipelines import PipelineProcess, mysql_source, postgres_source
from tests.workload import Workload, selected, without_added

DEADLINE_SECS = 120
KEYS = {"items": ("id",), "pairs": ("a", "b")}


def main() -> int:
    """Exit code 1 if a table differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.jdbc", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--form", nargs="+", default=[SCHEMAS, AVRO], choices=[SCHEMAS, AVRO])
    parser.add_argument("--transactions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    with Servers() as servers:
        registry = start_registry(servers._room, "-Dapicurio.rules.global.compatibility=NONE")
        for source in options.source:
            for form in options.form:
                with (
                    servers.get(source).fresh_database() as database,
                    servers.get("postgres-15").fresh_database() as target,
                ):
                    workload = Workload(database, options.seed)
                    workload.has_truncates = False
                    wrong = _carried(
                        servers, registry, (source, form), workload, (database, target), options.transactions
                    )
                print(f"{source}, {form}: {workload.committed_count} changes: {wrong or 'the tables are equal'}")
                faults += bool(wrong)
    return 1 if faults else 0


def _carried(
    servers: Any, registry: Any, kind: tuple[str, str], workload: Any, ends: tuple[Any, Any], count: int
) -> str:
    """What differs in the end; nothing if the tables are equal."""
    (source, form), (database, target) = kind, ends
    workload.create()
    workload.run(count // 3)
    folder = Path(tempfile.mkdtemp(prefix="deltaforge-jdbc-"))
    prefix = f"jdbc{source.replace('-', '')}{form}"
    schema = "public" if source == "postgres" else database.name
    topics = {name: f"{prefix}.{schema}.{name}" for name in KEYS}
    with (
        _pipeline(servers, registry, (source, form, prefix), database, folder) as pipeline,
        _connector(servers, registry, form, topics, target, folder) as worker,
    ):
        workload.run(count)
        database.execute("insert into items (id, seq) values (-1, 0)")
        deadline, wrong = time.monotonic() + DEADLINE_SECS, "nothing has come"
        while wrong and time.monotonic() < deadline:
            time.sleep(0.5)
            pipeline.assert_runs()
            worker.check()
            wrong = _difference(without_added(selected(database)), _tables_of(target))
    return wrong


@contextlib.contextmanager
def _pipeline(servers: Any, registry: Any, kind: tuple[str, str, str], database: Any, folder: Path) -> Iterator[Any]:
    source, form, prefix = kind
    envelope = {"type": "debezium", "dialect": "connect", "topic_prefix": prefix}
    if source == "mariadb":
        envelope["connector"] = "mariadb"
    encoding = (
        {"type": "avro", "schema_registry_url": registry.url} if form == AVRO else {"type": "json", "schemas": "inline"}
    )
    sink = {"id": "kafka", "brokers": servers.get("kafka").bootstrap, "envelope": envelope, "encoding": encoding}
    made = (postgres_source if source == "postgres" else mysql_source)(database, snapshot={})
    pipeline = PipelineProcess(folder, made, [{"type": "kafka", "config": sink}], name=prefix).start()
    try:
        yield pipeline
    finally:
        pipeline.end()


@contextlib.contextmanager
def _connector(
    servers: Any, registry: Any, form: str, topics: dict[str, str], target: Any, folder: Path
) -> Iterator[ConnectWorker]:
    plugin = Path(installed("debezium-jdbc", is_required=True))
    worker = ConnectWorker(
        folder / "connect", jars(Path(installed("debezium", is_required=True)), plugin), servers.get("kafka").bootstrap
    )
    server = target.server
    worker.add({
        "name": "jdbc", "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1",
        "topics": ",".join(topics.values()), "connection.url": f"jdbc:postgresql://{server.host}:{server.port}/{target.name}",
        "connection.username": server.user, "connection.password": server.password,
        "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key", "schema.evolution": "basic",
        "table.name.format": "${topic}", "collection.name.format": "${topic}",
        "transforms": "table", "transforms.table.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.table.regex": r"[^.]+\.[^.]+\.(.*)", "transforms.table.replacement": "$1",
        "consumer.override.auto.offset.reset": "earliest", "consumer.override.metadata.max.age.ms": "1000",
        **converters(form, registry.url),
    })  # fmt: skip
    try:
        worker.start()
        worker.wait_until_running()
        yield worker
    finally:
        worker.stop()


def _tables_of(target: Any) -> dict[str, dict[Any, dict[str, Any]]]:
    """The tables that the connector keeps; one that is not there yet is empty."""
    there = {name for (name,) in target.rows("select tablename from pg_tables where schemaname = 'public'")}
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    for name, key in KEYS.items():
        found[name] = {}
        if name in there:
            with target.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f'select * from "{name}"')
                columns = [column[0] for column in cursor.description]
                for row in cursor.fetchall():
                    values = {
                        c: v if v is None or isinstance(v, int | str) else str(v)
                        for c, v in zip(columns, row, strict=True)
                    }
                    found[name][tuple(values[c] for c in key)] = values
    return without_added(found)


def _difference(wanted: Any, found: Any) -> str:
    """The first rows that differ, in words."""
    for name, rows in wanted.items():
        wrong = [key for key in {*rows, *found[name]} if rows.get(key) != found[name].get(key)]
        if wrong:
            key = wrong[0]
            return f"{len(wrong)} of {len(rows)} rows of {name} differ, e.g. {key}: {rows.get(key)} became {found[name].get(key)}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
