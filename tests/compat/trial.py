"""One database server: both sides read it while its history happens."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.compat import debezium, ours
from tests.compat.cases import Case
from tests.compat.connect import ConnectWorker, jars
from tests.compat.histories import FINISH, WAIT, History, mysql, postgres
from tests.compat.reading import Side, read_side
from tests.fixtures.local_server import installed
from tests.pipelines import wait_for

DEADLINE_SECS = 120
SERVERS = {"mysql": "mysql", "mariadb": "mariadb", "postgres": "postgres", "postgres-15": "postgres-15"}


class Trial:
    """``sides`` holds what each side has written, by case: theirs and ours."""

    def __init__(self, servers: Any, registry: Any, source: str, cases: list[Case], *, with_ours: bool = True) -> None:
        self._servers, self._registry, self._source, self._cases = servers, registry, source, cases
        self._bootstrap = servers.get("kafka").bootstrap
        self._with_ours = with_ours
        self._rows = 0
        self.sides: dict[str, tuple[Side, Side]] = {}
        self.broken: dict[str, str] = {}
        self.lost: dict[str, str] = {}

    def run(self) -> None:
        """Fill ``sides``; what cannot take part is in ``broken``, by case, with its log, and in ``lost`` what the import lost."""
        story = _history(self._source)
        with self._servers.get(self._source).fresh_database() as database, database.connect() as connection:
            self._database, self._cursor = database, connection.cursor()
            self._execute(History(story.setup, []).setup)
            if self._is_postgres:
                whole = "for all tables with (publish_via_partition_root = true)"
                self._execute(["create publication pub for all tables", f"create publication pub_root {whole}"])
            folder = Path(tempfile.mkdtemp(prefix="deltaforge-compat-"))
            with self._theirs(folder) as worker, self._ours(folder) as pipelines:
                self._watch = (worker, pipelines)
                self._wait_for_finish()
                for name, pipeline in pipelines.items():  # ours go on with the log while they copy
                    if name not in self.broken:
                        wait_for(lambda one=pipeline: _has_copied(one), interval_secs=0.2)
                self._execute(story.changes)
                time.sleep(1.5)  # what follows the last row: END, heartbeats
            for case in self._cases:
                if case.name not in self.broken:
                    self.sides[case.name] = (
                        self._read(debezium.prefix_of(self._source, case), case.form),
                        self._read(ours.prefix_of(self._source, case), case.form),
                    )

    @property
    def _is_postgres(self) -> bool:
        return self._source.startswith("postgres")

    def _read(self, prefix: str, form: str) -> Side:
        names = {prefix: "server", self._database.name: "the_db"}
        return read_side(self._bootstrap, self._registry, form, names)

    @contextlib.contextmanager
    def _theirs(self, folder: Path) -> Iterator[ConnectWorker]:
        plugin = Path(installed("debezium-mariadb", is_required=True)) if self._source == "mariadb" else None
        worker = ConnectWorker(
            folder / "connect", jars(Path(installed("debezium", is_required=True)), plugin), self._bootstrap
        )
        for case in self._cases:
            worker.add(debezium.connector(self._source, self._database, case, folder, self._registry.url))
        try:
            worker.start()
            worker.wait_until_running()
            yield worker
        finally:
            worker.stop()

    @contextlib.contextmanager
    def _ours(self, folder: Path) -> Iterator[dict[str, Any]]:
        pipelines: dict[str, Any] = {}
        try:
            for case in self._cases if self._with_ours else []:
                address = (self._bootstrap, self._registry.url)
                made, lost = ours.pipeline(self._source, self._database, case, folder, address)
                self.lost |= {f"{case.name}: {name}": why for name, why in lost.items()}
                pipelines[case.name] = made.start(waits=False)
            yield pipelines
        finally:
            for pipeline in pipelines.values():
                pipeline.end()

    def _execute(self, statements: list[str]) -> None:
        for statement in statements:
            if statement == WAIT:
                self._rows += 1
                self._cursor.execute(f"insert into {FINISH} values ({self._rows})")
                self._wait_for_finish()
            else:
                self._cursor.execute(statement)

    def _wait_for_finish(self) -> None:
        """Until every row of the last table has come through, on both sides of every case."""
        schema = "public" if self._is_postgres else self._database.name
        waiting = {}
        for case in self._cases:
            if case.name not in self.broken:
                waiting[debezium.prefix_of(self._source, case)] = case
                if self._with_ours:
                    waiting[ours.prefix_of(self._source, case)] = case
        deadline = time.monotonic() + DEADLINE_SECS
        with contextlib.closing(
            Consumer({"bootstrap.servers": self._bootstrap, "group.id": "compat", "log_level": 2})
        ) as consumer:
            while waiting:
                for prefix in list(waiting):
                    if _end_of(consumer, f"{prefix}.{schema}.{FINISH}") > self._rows:
                        del waiting[prefix]
                    elif why := self._why_not(prefix, waiting[prefix], is_late=time.monotonic() > deadline):
                        self.broken[waiting.pop(prefix).name] = f"{prefix}: {why}"
                time.sleep(0.1)

    def _why_not(self, prefix: str, case: Case, *, is_late: bool) -> str:
        worker, pipelines = self._watch
        try:
            if prefix.startswith("ours"):
                pipelines[case.name].assert_runs()
                return f"late\n{pipelines[case.name].log()}" if is_late else ""
            worker.check(prefix)
            return f"late\n{worker.log()}" if is_late else ""
        except AssertionError as error:
            return str(error)


def _has_copied(pipeline: Any) -> bool:
    """Whether all tables are copied, as the log says."""
    return re.search(r"snapshot \w+ completed", pipeline.log_text()) is not None


def _history(source: str) -> History:
    if source.startswith("postgres"):
        return postgres.history(version=15 if source == "postgres-15" else 18)
    return mysql.history(is_mariadb=source == "mariadb")


def _end_of(consumer: Any, topic: str) -> int:
    """Messages in a topic; 0 where there is none."""
    if topic not in consumer.list_topics(timeout=20).topics:
        return 0
    return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[1])
