"""What is compared: something that carries the changes of one table into one Kafka topic, seen from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.pipelines import PipelineProcess, mysql_source, postgres_source

CONNECT = "connect"
"""Debezium's own messages; the other envelopes are called as in documents."""


class Route(NamedTuple):
    """From one table to the broker; each contender keeps its files in a folder of its own below ``folder``."""

    folder: Path
    source: str
    database: Any
    table: str
    bootstrap: str
    registry: str = ""  # its Confluent API; empty: the messages are JSON

    @property
    def schema(self) -> str:
        """What stands before the dot of the table's full name."""
        return "public" if self.source == "postgres" else str(self.database.name)


class Contender(Protocol):
    """A process that is started, watched and ended; the topic tells what it has delivered.

    Its position in the log is kept in ``folder`` or on the server, and every start goes on from it.
    """

    name: str
    topic: str

    @property
    def pid(self) -> int: ...

    def start(self, *, waits: bool) -> None:
        """Start the process; with ``waits``, return when a change made now is sure to be read."""

    def stop(self) -> None:
        """End in good order: everything acknowledged is saved."""

    def end(self) -> None:
        """End it if it still runs."""

    def log(self) -> str:
        """The last lines of the process, for the error message of a run that failed."""


class DeltaForge:
    """A pipeline process with the default settings of its source and its Kafka sink. With a registry it writes Avro."""

    def __init__(self, route: Route, envelope: str) -> None:
        self.name = f"DeltaForge, {envelope}"
        self.topic = f"{route.database.name}.{envelope}"
        sink: dict[str, Any] = {"id": "kafka", "brokers": route.bootstrap, "topic": self.topic, "envelope": envelope}
        if envelope == CONNECT:
            connect = {"topic_prefix": route.database.name, "decimal_handling": "string", "tombstones_on_delete": False}
            sink["envelope"] = {"type": "debezium", "dialect": "connect", **connect}
        if route.registry:
            sink["encoding"] = {"type": "avro", "schema_registry_url": route.registry}
        sinks = [{"type": "kafka", "config": sink}]
        self._process = PipelineProcess(route.folder / envelope, _source(route, f"ours_{envelope}"), sinks)

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def start(self, *, waits: bool) -> None:
        self._process.start(waits=waits)

    def stop(self) -> None:
        code = self._process.stop()
        assert code == 0, self.log()

    def end(self) -> None:
        self._process.end()

    def log(self) -> str:
        return str(self._process.log())


def _source(route: Route, name: str) -> Any:
    tables, name = [f"{route.schema}.{route.table}"], f"{name}_{route.database.name}"
    if route.source == "postgres":
        return postgres_source(route.database, tables=tables, slot=name)
    return mysql_source(route.database, tables=tables, id=name)
