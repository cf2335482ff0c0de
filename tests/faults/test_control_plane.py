"""Eight clients on the same names, while pipelines and the control plane are killed: afterwards everything agrees.

``DELTAFORGE_CHAOS_SECS`` and ``DELTAFORGE_CHAOS_SEED`` make it longer, and another one.
"""

import http.client
import json
import os
import random
import signal
import threading
import time

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, mysql_source, postgres_source, wait_for
from tests.processes import pipeline_processes

SECS = float(os.environ.get("DELTAFORGE_CHAOS_SECS", "25"))
SEED = int(os.environ.get("DELTAFORGE_CHAOS_SEED", "16"))
NAMES = ["p0", "p1", "p2"]
DOCUMENTED = {200, 204, 400, 404, 409}
VERBS = ["create", "create", "patch", "pause", "resume", "resume", "stop", "get", "delete"]
KILL_SECS = 0.8


class Chaos:
    """Clients and kills. ``odd`` collects answers that are not documented."""

    def __init__(self, folder, plane, bodies):
        self._folder = folder
        self._plane = plane
        self._bodies = bodies
        self._ends_at = time.monotonic() + SECS
        self.odd = []
        self.counts = {}

    def run(self):
        threads = [threading.Thread(target=self._ask, args=(random.Random(f"{SEED}/{n}"),)) for n in range(8)]
        for thread in threads:
            thread.start()
        self._kill(random.Random(f"{SEED}/kills"))
        for thread in threads:
            thread.join()

    def _ask(self, choices):
        while time.monotonic() < self._ends_at:
            name, verb = choices.choice(NAMES), choices.choice(VERBS)
            path, body = f"/pipelines/{name}", None
            if verb == "create":
                method, path, body = "POST", "/pipelines", self._bodies[name]
            elif verb == "patch":
                method, body = "PATCH", {"spec": {"batch": {"max_events": choices.randrange(1, 1000)}}}
            elif verb in ("get", "delete"):
                method = verb.upper()
            else:
                method, path = "POST", f"{path}/{verb}"
            try:
                status, answer = self._plane.call(method, path, body)
            except (OSError, http.client.HTTPException):  # the control plane was killed
                time.sleep(0.1)
                continue
            self.counts[verb, status] = self.counts.get((verb, status), 0) + 1
            if status not in DOCUMENTED:
                self.odd.append((verb, status, answer))

    def _kill(self, choices):
        while time.monotonic() < self._ends_at:
            time.sleep(choices.uniform(0.2, 2 * KILL_SECS))
            if choices.random() < 0.2:
                self._plane.process.kill()
                self._plane.process.wait()
                self._plane.start()
            elif running := sorted(pipeline_processes(self._folder / "state")):
                try:
                    os.kill(choices.choice(running), signal.SIGKILL)
                except ProcessLookupError:
                    continue


def writes(databases, stopped, numbers):
    """Insert a row into every database again and again, until it is enough."""
    while not stopped.is_set():
        number = len(numbers) + 1
        for database in databases:
            database.execute(f"insert into t values ({number})")
        numbers.append(number)
        stopped.wait(0.05)


def agrees(plane, folder):
    """What is registered, and what runs, once nothing changes any more."""
    listed = {info["name"]: info["status"] for info in plane.call("GET", "/pipelines")[1]}
    running = sorted(pipeline_processes(folder / "state").values())
    return sorted(name for name, status in listed.items() if status in ("running", "paused")) == running and listed


def test_states_processes_and_rows_agree_after_chaos(postgres_database, mysql_database, tmp_path):
    databases = [postgres_database, mysql_database]
    for database in databases:
        database.execute("create table t (id int primary key)")
    postgres_database.execute("create publication pub for all tables")
    sources = {
        "p0": postgres_source(postgres_database, id="s0", slot=f"a_{postgres_database.name}"),
        "p1": mysql_source(mysql_database, id="s1"),
        "p2": postgres_source(postgres_database, id="s2", slot=f"b_{postgres_database.name}"),
    }
    bodies = {n: document(sources[n], file_sink(tmp_path / "out" / n), name=n) for n in NAMES}
    before = set(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    plane = ControlPlane(tmp_path, "--crash-limit", "1000").start()
    numbers, stopped = [], threading.Event()
    writer = threading.Thread(target=writes, args=(databases, stopped, numbers))
    try:
        # one pipeline that nobody touches but the kills: it must deliver every row that is written from now on
        kept = document(mysql_source(mysql_database, id="kept"), file_sink(tmp_path / "out" / "kept"), name="kept")
        assert plane.call("POST", "/pipelines", kept)[1]["status"] == "running"
        writer.start()
        chaos = Chaos(tmp_path, plane, bodies)
        chaos.run()
        stopped.set()
        writer.join()
        assert chaos.odd == []
        assert len(chaos.counts) > len(VERBS), chaos.counts
        listed = wait_for(lambda: agrees(plane, tmp_path))
        assert listed["kept"] == "running"
        assert not [name for name, status in listed.items() if status == "failed"], plane.call("GET", "/health")
        for name in sorted({*listed, *NAMES}):
            if name not in listed:
                assert plane.call("POST", "/pipelines", bodies[name])[0] == 200, name
            assert plane.call("POST", f"/pipelines/{name}/resume")[1]["status"] == "running"
            wait_for(lambda name=name: plane.call("GET", f"/pipelines/{name}")[1]["ops"]["checkpoints"])
        assert agrees(plane, tmp_path)
        for database in databases:
            database.execute("insert into t values (1000000)")
        for name in ("kept", *NAMES):
            wait_for(lambda name=name: 1_000_000 in rows(tmp_path / "out" / name))
        assert set(numbers) <= rows(tmp_path / "out/kept")
        for name in ("p0", "p2"):  # the slot keeps what was written while nothing was registered
            first = min(rows(tmp_path / "out" / name))
            assert set(range(first, len(numbers) + 1)) <= rows(tmp_path / "out" / name)
    finally:
        stopped.set()
        if plane.process.poll() is None:
            plane.stop()
    assert pipeline_processes(tmp_path / "state") == {}
    ours = {"state", "out", "df.db", "df.db-wal", "df.db-shm", "serve.log"}
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= ours
    assert {json.loads(path.read_text())["metadata"]["name"] for path in tmp_path.glob("state/pipelines/*/document.json")} == {
        "kept", *NAMES,
    }  # fmt: skip


def rows(path):
    return {event["after"]["id"] for event in file_events(path)}
