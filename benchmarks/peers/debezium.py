"""Debezium in a Kafka Connect worker of its own: standalone mode, one connector, which never has more than one task.

The settings are those that the documentation of Debezium and Kafka Connect advises for throughput, where they help:

* ``max.batch.size`` and ``max.queue.size`` four times their defaults: fewer, larger polls, and a reader that need not
  wait for them. ``poll.interval.ms`` 10 instead of 500, so that a batch that is not full leaves soon: it is what the
  latency depends on, and drains were not slower with it.
* The producer as DeltaForge's sink has it: lz4, batches up to 1 MiB, ``linger.ms`` 5, ``acks=all``, idempotent. Kafka
  Connect alone would have one request in flight; with idempotence five keep the order too.
* ``offset.flush.interval.ms`` stays at a minute, where DeltaForge saves its position twice a second.
* The heap has a fixed size and the parallel collector: with 2 cores and Kafka's own choice, G1 with pauses below 20 ms,
  Debezium needed about a tenth more CPU and up to twice the memory.
* The plug-ins are found by their service files (``plugin.discovery``): a quicker start.

Left out is work that DeltaForge does not do: schemas in every message, tombstones after deletes, schema changes as
events, TLS to the database. Decimals are text, as with DeltaForge. Offsets and schema history are files.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.peers.contenders import Route
from benchmarks.peers.converters import converters
from benchmarks.topics import Topic
from tests.fixtures.ports import free_port

JAVA_AT_LEAST = 17
TIMEOUT_SECS = 120
PRIMER = "primer"
CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
JVM = ["-server", "-Xms1g", "-Xmx1g", "-XX:+UseParallelGC"]
WORKER = {
    "key.converter": CONVERTER,
    "value.converter": CONVERTER,
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "plugin.discovery": "service_load",
    "offset.flush.interval.ms": "60000",
    "producer.acks": "all",
    "producer.enable.idempotence": "true",
    "producer.max.in.flight.requests.per.connection": "5",
    "producer.compression.type": "lz4",
    "producer.linger.ms": "5",
    "producer.batch.size": "1048576",
    "producer.buffer.memory": "134217728",
    "producer.max.request.size": "8388608",
}
CONNECTOR = {
    "tasks.max": "1",
    "snapshot.mode": "no_data",
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    "poll.interval.ms": "10",
    "tombstones.on.delete": "false",
    "decimal.handling.mode": "string",
}
LOGGING = """rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n%throwable
"""


class Debezium:
    """A Connect worker; ``prefix`` holds its jars in ``libs``. Offsets and schema history are files in ``folder``.

    A connector without an offset begins at the end of the log whenever it starts, and an offset is saved with the first
    change that it delivers: a table beside the one measured, ``primer``, gives it one.
    """

    name = "Debezium"

    def __init__(self, route: Route, prefix: Path) -> None:
        self._route, self._prefix, self._java = route, prefix, java()
        self._folder = route.folder / "debezium"
        topics = f"{route.database.name}-debezium"
        self.topic = f"{topics}.{route.schema}.{route.table}"
        self._primer_topic = f"{topics}.{route.schema}.{PRIMER}"
        server = route.database.server
        self._connector = CONNECTOR | {
            "name": "debezium",
            "topic.prefix": topics,
            "table.include.list": f"{route.schema}.{route.table},{route.schema}.{PRIMER}",
            "database.hostname": server.host,
            "database.port": str(server.port),
            "database.user": server.user,
            "database.password": server.password,
            **(converters("avro", route.registry) if route.registry else {}),
            **(_postgres(route) if route.source == "postgres" else _mysql(route, self._folder)),
        }
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, waits: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        worker = WORKER | {
            "bootstrap.servers": self._route.bootstrap,
            "listeners": f"http://127.0.0.1:{self._port}",
            "offset.storage.file.filename": str(self._folder / "offsets"),
        }
        files = {
            "worker.properties": "".join(f"{key}={value}\n" for key, value in worker.items()),
            "connector.json": json.dumps({"name": "debezium", "config": self._connector}),
            "log4j2.properties": LOGGING,
        }
        for name, text in files.items():
            (self._folder / name).write_text(text)
        command = [self._java, *JVM, "-Djava.net.preferIPv4Stack=true", "-Dlog4j2.configurationFile=log4j2.properties"]
        command += ["-cp", f"{self._prefix}/libs/*", "org.apache.kafka.connect.cli.ConnectStandalone"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "worker.properties", "connector.json"], cwd=self._folder, stdout=log, stderr=log
            )
        if waits:
            with contextlib.closing(Topic(self._route.bootstrap, self._primer_topic)) as primer:
                primer.create()
                self._wait(primer)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(TIMEOUT_SECS)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-4000:]

    def _wait(self, primer: Topic) -> None:
        """A row of the primer that arrives proves that the log is being read and that there will be an offset."""
        deadline, row = time.monotonic() + TIMEOUT_SECS, 0
        while not primer.count():
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, f"Debezium delivers nothing; {self._state()}\n{self.log()}"
            if self._state() == "RUNNING":
                row += 1
                self._route.database.execute(f"insert into {PRIMER} values ({row})")
            time.sleep(0.5)

    def _state(self) -> str:
        """The state of the task as the worker's own REST interface tells it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/connectors/debezium/status")
            answer = connection.getresponse()
            tasks = json.loads(answer.read())["tasks"] if answer.status == http.client.OK else []
            return str(tasks[0]["state"]) if tasks else ""
        return ""


def _mysql(route: Route, folder: Path) -> dict[str, str]:
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "database.include.list": route.database.name,
        "database.server.id": str(free_port()),  # any number that no other replica has
        "database.ssl.mode": "disabled",
        "driver.allowPublicKeyRetrieval": "true",
        "snapshot.locking.mode": "none",
        "include.schema.changes": "false",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / "history"),
    }


def _postgres(route: Route) -> dict[str, str]:
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.dbname": route.database.name,
        "database.sslmode": "disable",
        "plugin.name": "pgoutput",
        "publication.name": "pub",
        "publication.autocreate.mode": "disabled",
        "slot.name": f"debezium_{route.database.name}",
    }


def java() -> str:
    """The Java runtime.

    Raises:
        SystemExit: There is none, or it is too old; with the remedy.
    """
    remedy = f"Debezium needs a Java runtime, {JAVA_AT_LEAST} or newer: apt-get install openjdk-17-jre-headless"
    found = shutil.which("java")
    if found is None:
        raise SystemExit(f"no java on the path. {remedy}")
    version = java_version(found)
    if int(version.split(".")[0]) < JAVA_AT_LEAST:
        raise SystemExit(f"{found} is Java {version}. {remedy}")
    return found


def java_version(program: str) -> str:
    """What the runtime calls itself, e.g. ``17.0.15``; ``0`` if it cannot be told."""
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([\d.]+)', text)
    return found[1] if found else "0"
