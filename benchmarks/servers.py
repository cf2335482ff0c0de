"""The servers and destinations that benchmarks run against, started as the tests start them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.destinations import FileDestination, KafkaDestination, RedisDestination
from tests.fixtures import fix_mysql, fix_postgres
from tests.fixtures.fix_kafka import KafkaBroker, start_broker
from tests.fixtures.fix_redis import RedisServer
from tests.fixtures.fix_registry import start_registry
from tests.fixtures.fix_servers import ServerRoom, variable
from tests.fixtures.kafka_tls import self_signed, tls_properties


class _Options:
    """What the server room asks of pytest's options: the environment variables alone."""

    def getoption(self, name: str) -> Any:
        return True if name == "--require-servers" else os.environ.get(variable(name.removeprefix("--")))


class Servers:
    """Starts each server when it is first asked for."""

    def __init__(self) -> None:
        self._room = ServerRoom(_Options())
        self._started: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.close()

    def get(self, name: str) -> Any:
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name]

    def version(self, name: str) -> str:
        """What the database server says of itself, e.g. ``9.7.4`` or ``18.4``."""
        with self.get(name).connect() as connection, connection.cursor() as cursor:
            cursor.execute("show server_version" if name == "postgres" else "select version()")
            return str(cursor.fetchone()[0])

    def _start(self, name: str) -> Any:
        if name in fix_mysql.SCRIPTS:
            return fix_mysql.running_or_ours(self._room, name)
        if name in ("postgres", "postgres-15"):
            return fix_postgres.running_or_ours(self._room, 18 if name == "postgres" else 15)
        if name == "redis":
            process = self._room.start("redis", "redis.sh")
            return RedisServer("127.0.0.1", process.port, process)
        if name == "registry":
            return start_registry(self._room)
        if name == "kafka-tls":
            return self._start_with_tls()
        if name == "registry":
            return start_registry(self._room)
        return start_broker(self._room)

    def _start_with_tls(self) -> tuple[KafkaBroker, Path]:
        """A broker that speaks TLS alone, and a file with its certificate."""
        key, certificate = self_signed()
        authority = self._room.folder / "ca.pem"
        authority.write_text(certificate)
        return start_broker(self._room, *tls_properties(key, certificate)), authority


class KafkaTarget(KafkaDestination):
    """One topic."""

    def count(self) -> int:
        """Messages in the topic."""
        consumer = Consumer({"bootstrap.servers": self._broker.bootstrap, "group.id": "bench"})
        try:
            partitions = consumer.list_topics(self._topic, timeout=20).topics[self._topic].partitions
            marks = [consumer.get_watermark_offsets(TopicPartition(self._topic, p), timeout=20) for p in partitions]
            return sum(high - low for low, high in marks)
        finally:
            consumer.close()

    def message_bytes(self, count: int = 2000) -> float:
        """Bytes of the key and the value of a message, the mean of the first ones."""
        consumer = Consumer({"bootstrap.servers": self._broker.bootstrap, "group.id": "bench"})
        try:
            consumer.assign([TopicPartition(self._topic, 0, 0)])
            messages = consumer.consume(count, timeout=20)
            return sum(len(message.value() or b"") + len(message.key() or b"") for message in messages) / len(messages)
        finally:
            consumer.close()

    def bytes_on_disk(self) -> int | None:
        """Size of the topic's segments; None for a broker that is not ours."""
        process = self._broker.process
        if process is None:
            return None
        return sum(path.stat().st_size for path in (process.folder / "data").glob(f"{self._topic}-*/*.log"))

    def delete(self) -> None:
        """Let the broker forget the topic."""
        admin = AdminClient({"bootstrap.servers": self._broker.bootstrap, "log_level": 3})
        for done in admin.delete_topics([self._topic]).values():
            done.result()


class ExactlyOnceKafkaTarget(KafkaTarget):
    """One topic, written in transactions: its offsets count their ends too."""

    def __init__(self, broker: Any, topic: str) -> None:
        # what an earlier pipeline of the name has delivered does not count
        super().__init__(broker, topic, exactly_once=True, client_conf={"transactional.id": topic})

    def count(self) -> int:
        """Messages in the topic, as a reader of committed ones finds them."""
        return len(self._broker.messages(self._topic))


class RedisTarget(RedisDestination):
    """One stream."""

    def count(self) -> int:
        """Entries in the stream."""
        with self._server.connect() as client:
            return int(client.xlen(self._stream))

    def stall(self, secs: float) -> None:
        """The server stops to answer writes for a while."""
        with self._server.connect() as client:
            client.client_pause(int(secs * 1000), all=False)


class FileTarget(FileDestination):
    """JSON lines."""

    def count(self) -> int:
        """Lines in the file."""
        with self._path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


class NullTarget:
    """Encoded, and written to where nothing is kept: its count is the sink's own."""

    def __init__(self) -> None:
        self.sink = {"type": "stdout", "config": {"id": "null"}}

    def count(self) -> None:
        """Nothing can be counted there."""
