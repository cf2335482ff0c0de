"""Eight shards in one pipeline of two processes: figures of each, and one whose server goes and comes back."""

from contextlib import ExitStack

import pytest

from deltaforge.checkpoint.reader import read_source_states
from deltaforge.control.reading import troubles_of
from tests.combinations import IS_FULL
from tests.databases import begin_log_anew
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for

SHARDS = 8
ROWS = 50
LAST = f"s{SHARDS - 1}"


class Shard:
    """A database with a table of its own rows."""

    def __init__(self, number, database, *, port=None):
        self.name, self.database, self.count = f"s{number}", database, 0
        self.settings = {"id": self.name, "dsn": database.url(port=port)}
        if database.server.scheme == "mysql":
            self.settings["tables"] = [f"{database.name}.t"]
        else:
            self.settings["slot"] = f"s_{database.name}"

    def insert(self, count=ROWS):
        first, self.count = self.count + 1, self.count + count
        rows = ", ".join(f"({number})" for number in range(first, self.count + 1))
        self.database.execute(f"insert into t values {rows}")


class Pipeline(PipelineProcess):
    def __init__(self, folder, shards, kind):
        above = {"publication": "pub", "tables": []} if kind == "postgres" else {}
        config = {"id": "src", **above, "shards": [shard.settings for shard in shards]}
        sink = file_sink(folder / "out.jsonl")
        super().__init__(folder, {"type": kind, "config": config}, [sink], runtime={"processes": 2, "workers": 1})
        self.folder, self.shards = folder, shards

    def has_all(self, *, but=()):
        """Whether every row of these shards is there, once and in order; with nothing of another one."""
        found = {shard.name: file_events(self.folder / f"out.{shard.name}.jsonl") for shard in self.shards}
        assert {event["source"]["name"] for name in found for event in found[name]} <= {f"p.{name}" for name in found}
        ids = {name: [event["after"]["id"] for event in events] for name, events in found.items()}
        assert all(ids[name] == [*range(1, len(ids[name]) + 1)] for name in ids)
        return all(len(ids[shard.name]) == shard.count for shard in self.shards if shard.name not in but)

    def figures(self, status):
        return {shard["id"]: shard for shard in status["source"]["shards"]}

    def states(self, status):
        """Of the shards; a process that is late with its part of a status is left out of it."""
        return {name: each["state"] for name, each in self.figures(status).items()}

    def is_at_rest(self, status):
        """Whether everything is read and saved, and no process is late with its part: that may be as it was before."""
        figures = self.figures(status)
        return (
            [*figures] == [shard.name for shard in self.shards]
            and {name: each["events_read"] for name, each in figures.items()} == {s.name: s.count for s in self.shards}
            and status.get("lag_bytes") == 0
            and {each["lag_bytes"] for each in figures.values()} == {0}
            and {view["lane"]: view["position"] for view in status["checkpoints"]}
            == {name: each["position"] for name, each in figures.items()}
            and len({*status["processes"]} - {None}) == 2
        )


@pytest.fixture
def away():
    """How the server of the last shard goes away, and how it comes back; set by the shards."""
    return {}


@pytest.fixture(params=["postgres", "mysql"] if IS_FULL else ["postgres"])
def shards(request, away):
    kind = request.param
    with ExitStack() as stack:
        if kind == "postgres":
            servers = [request.getfixturevalue("postgres")] * (SHARDS - 1)
            servers.append(request.getfixturevalue("private_postgres")())
            away.update(go=servers[-1].stop, come=servers[-1].start)
        else:
            both = [request.getfixturevalue("mysql"), request.getfixturevalue("mariadb")]
            servers = [both[number % 2] for number in range(SHARDS)]
        found = []
        for server in servers:
            database = stack.enter_context(server.fresh_database())
            database.execute("create table t (id int primary key)")
            if kind == "postgres":
                database.execute("create publication pub for all tables")
            found.append(database)
        port = None
        if kind == "mysql":
            begin_log_anew(found[0])
            begin_log_anew(found[1])
            proxy = request.getfixturevalue("fault_proxy")(found[-1].server.port)
            port = proxy.port
            away.update(go=proxy.down, come=proxy.up)
        yield kind, [Shard(n, each, port=port if n == SHARDS - 1 else None) for n, each in enumerate(found)]


def test_eight_shards_over_two_processes_and_one_server_that_goes_and_comes_back(shards, away, tmp_path):
    kind, shards = shards
    pipeline = Pipeline(tmp_path, shards, kind)
    try:
        pipeline.start()
        pipeline.wait_until(lambda status: all(each["state"] == "running" for each in status["source"]["shards"]))
        for number, shard in enumerate(shards):
            shard.insert(ROWS + number)
        wait_for(pipeline.has_all)
        status = pipeline.wait_until(pipeline.is_at_rest)
        assert status["events_read"] == sum(shard.count for shard in shards)
        wait_for(lambda: pipeline.ask("metrics")["metrics"].count("deltaforge_source_shard_lag_bytes{") == SHARDS)

        away["go"]()
        for shard in shards[:-1]:
            shard.insert()
        wait_for(lambda: pipeline.has_all(but=[LAST]))
        states = {shard.name: "running" for shard in shards[:-1]} | {LAST: "reconnecting"}
        status = pipeline.wait_until(lambda status: pipeline.states(status) == states)
        assert f"shard {LAST}: " in status["source"]["last_error"]
        assert {*troubles_of(status)} == {f"shard {LAST}"}
        reloaded = {(row["shard"], row["table"], row["status"]) for row in pipeline.ask("reload_schemas")["tables"]}
        assert reloaded == {(shard.name, "t", "ok") for shard in shards[:-1]} | {(LAST, "", "error")}
        away["come"]()
        shards[-1].insert()
        wait_for(pipeline.has_all)
        assert pipeline.stop() == 0, pipeline.log()

        saved = read_source_states(pipeline.paths.recovery)
        assert sorted(saved) == [f"log@{shard.name}" for shard in shards]
        for shard in shards:
            shard.insert(1)
        pipeline.start()
        wait_for(pipeline.has_all)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
