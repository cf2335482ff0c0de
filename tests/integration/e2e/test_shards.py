"""Several databases as shards of one source, in one pipeline."""

from contextlib import ExitStack

import pytest

from deltaforge.checkpoint.reader import read_delivery_states, read_source_states
from deltaforge.control.shapes import SensingView, read_shapes
from deltaforge.sensing.settings import SchemaSensing
from tests.databases import drop_slots
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for


@pytest.fixture
def databases(postgres):
    """Two databases of one PostgreSQL server."""
    with ExitStack() as stack:
        found = [stack.enter_context(postgres.fresh_database()) for _ in range(2)]
        for database in found:
            database.execute("create table t (id int primary key, v text)", "create publication pub for all tables")
        yield found


def source_of(databases, **config):
    shards = [{"id": f"s{n}", "dsn": each.url(), "slot": f"s_{each.name}"} for n, each in enumerate(databases)]
    return {"type": "postgres", "config": {"id": "src", "publication": "pub", "tables": [], "shards": shards, **config}}


class Pipeline(PipelineProcess):
    """Writes to a file for each shard."""

    def __init__(self, folder, source, **spec):
        super().__init__(folder, source, [file_sink(folder / "out.jsonl")], **spec)
        self.folder = folder

    def start(self, *, waits=True, **options):
        """A shard is not waited for by the others: what is written before its slot is there is not in its log."""
        super().start(waits=waits, **options)
        if waits:
            self.wait_until(lambda status: set(states_of(status).values()) <= {"running", "paused"})
        return self

    def rows(self):
        return rows_in(self.folder)


def rows_in(folder):
    """What arrived: the name of the source with the ids of its rows, in order."""
    found = {}
    for path in sorted(folder.glob("out.*.jsonl")):
        events = file_events(path)
        assert {f"{event['source']['name']}" for event in events} <= {f"p.{path.name.split('.')[1]}"}
        found |= {event["source"]["name"]: [each["after"]["id"] for each in events] for event in events[:1]}
    return found


def insert(database, *ids):
    database.execute(*(f"insert into t values ({number}, 'row {number}')" for number in ids))


def test_two_databases_of_one_server_arrive_and_each_goes_on_at_its_place(databases, tmp_path):
    pipeline = Pipeline(tmp_path, source_of(databases))
    try:
        pipeline.start()
        for number, database in enumerate(databases):
            insert(database, *range(number * 10, number * 10 + 3))
        wait_for(lambda: sum(map(len, pipeline.rows().values())) == 6)
        assert pipeline.stop() == 0, pipeline.log()
        assert pipeline.rows() == {"p.s0": [0, 1, 2], "p.s1": [10, 11, 12]}
        saved = read_source_states(pipeline.paths.recovery)
        assert {key: state.source_id for key, state in saved.items()} == {"log@s0": "src@s0", "log@s1": "src@s1"}
        assert sorted(read_delivery_states(pipeline.paths.recovery)) == ["delivery@s0", "delivery@s1"]
        assert {key: state.position.lsn for key, state in saved.items()} == {
            f"log@{shard}": state.sinks[0].position.lsn
            for shard in ("s0", "s1")
            for state in [read_delivery_states(pipeline.paths.recovery)[f"delivery@{shard}"]]
        }
        insert(databases[1], 13)
        pipeline.start()
        insert(databases[0], 3)
        wait_for(lambda: sum(map(len, pipeline.rows().values())) == 8)
        assert pipeline.stop() == 0, pipeline.log()
        assert pipeline.rows() == {"p.s0": [0, 1, 2, 3], "p.s1": [10, 11, 12, 13]}
        config = pipeline.document["spec"]["source"]["config"]
        config |= {**config.pop("shards")[0], "id": "src"}  # the first shard, as a source without shards
        outcome = pipeline.start(waits=False).wait()
        assert (outcome.kind, outcome.status) == ("checkpoint", "failed")
        assert "src@s0, src@s1, and it reads none of these any more" in outcome.message
    finally:
        pipeline.end()


def shards_of(status):
    return {shard["id"]: shard for shard in status["source"]["shards"]}


def states_of(status):
    return {name: shard["state"] for name, shard in shards_of(status).items()}


def is_acked(status):
    """Whether every sink stands where its shard is read."""
    acked = {checkpoint["lane"]: checkpoint["position"] for checkpoint in status["checkpoints"]}
    return all(acked.get(name) == shard["position"] for name, shard in shards_of(status).items())


def test_a_shard_is_paused_by_itself_and_each_shows_where_it_is(databases, tmp_path):
    pipeline = Pipeline(tmp_path, source_of(databases))
    try:
        pipeline.start()
        pipeline.ask("pause", shard="s0")
        insert(databases[0], 1, 2)
        insert(databases[1], 11)
        wait_for(lambda: pipeline.rows() == {"p.s1": [11]})
        pipeline.stop()
        pipeline.start(waits=False)
        insert(databases[1], 12)
        wait_for(lambda: pipeline.rows() == {"p.s1": [11, 12]})
        status = pipeline.wait_until(lambda status: set(states_of(status).values()) == {"paused", "running"})
        assert states_of(status) == {"s0": "paused", "s1": "running"}
        assert status["state"] == "running"
        pipeline.ask("resume", shard="s0")
        wait_for(lambda: pipeline.rows() == {"p.s0": [1, 2], "p.s1": [11, 12]})
        status = pipeline.wait_until(is_acked)
        assert states_of(status) == {"s0": "running", "s1": "running"}
        assert {name: shard["events_read"] for name, shard in shards_of(status).items()} == {"s0": 2, "s1": 1}
        assert (status["events_read"], status["connected"]) == (3, True)
        found = {checkpoint["lane"]: checkpoint["position"] for checkpoint in status["checkpoints"]}
        assert found == {name: shard["position"] for name, shard in shards_of(status).items()}
        metrics = pipeline.ask("metrics")["metrics"]
        for name in ("s0", "s1"):
            assert f'deltaforge_source_shard_up{{pipeline="p",shard="{name}"}} 1.0' in metrics
            assert f'deltaforge_source_shard_lag_seconds{{pipeline="p",shard="{name}"}}' in metrics
            assert f'deltaforge_source_events_total{{op="c",pipeline="p",source="src@{name}"' in metrics
        assert pipeline.ask("pause", shard="other")["kind"] == "not_found"
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()


def sensed(pipeline, *shards):
    """Rows that were counted, and the fields of the JSON column with whether they may be missing."""
    state = read_shapes(pipeline.paths.recovery, shards)
    view = SensingView("p", SchemaSensing(enabled=True), state)
    fields = {field["name"]: field["optional"] for field in view.schema("j:doc")["fields"]}
    return state.tables["j"].row_count, view.schema("j:doc")["event_count"], fields


def test_what_is_sensed_of_a_shard_is_counted_once_and_shown_as_one(databases, tmp_path):
    sensing = {"enabled": True, "high_cardinality": {"enabled": False}}
    pipeline = Pipeline(tmp_path, source_of(databases), schema_sensing=sensing)
    for database in databases:
        database.execute("create table j (id int primary key, doc jsonb)")
    try:
        pipeline.start()
        for number, database in enumerate(databases):
            doc = f'{{"a": 1, "b{number}": 2}}'
            database.execute(f"insert into j select n, '{doc}' from generate_series(1, {number + 2}) n")
        wait_for(lambda: {name: len(ids) for name, ids in pipeline.rows().items()} == {"p.s0": 2, "p.s1": 3})
        pipeline.kill()  # what is counted stands where the log is read from again
        pipeline.start()
        databases[0].execute("insert into j values (9, '{}')")
        databases[1].execute("""insert into j values (9, '{"a": 1, "b1": 2}')""")
        wait_for(lambda: all(9 in ids for ids in pipeline.rows().values()))  # so each log is read again up to here
        assert pipeline.stop() == 0, pipeline.log()
        assert sensed(pipeline, "s0") == (3, 3, {"a": True, "b0": True})
        assert sensed(pipeline, "s1") == (4, 4, {"a": False, "b1": False})
        assert sensed(pipeline, "s0", "s1") == (7, 7, {"a": True, "b0": True, "b1": True})
    finally:
        pipeline.end()


def test_a_shard_that_is_lost_stops_the_pipeline_or_stands_alone(databases, tmp_path):
    pipeline = Pipeline(tmp_path, source_of(databases))
    try:
        pipeline.start()
        insert(databases[0], 1)
        insert(databases[1], 11)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11]})
        assert pipeline.stop() == 0, pipeline.log()
        before = read_source_states(pipeline.paths.recovery)["log@s0"]
        drop_slots(databases[0])
        insert(databases[0], 2)
        insert(databases[1], 12)

        outcome = pipeline.start(waits=False).wait()
        assert (outcome.kind, outcome.message[:9]) == ("checkpoint", "shard s0:")
        pipeline.document["spec"]["source"]["config"]["shard_failure"] = "go_on"
        pipeline.start(waits=False)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11, 12]})
        status = pipeline.wait_until(lambda status: states_of(status) == {"s0": "failed", "s1": "running"})
        assert "shard s0: " in status["source"]["last_error"]
        assert 'source_shard_up{pipeline="p",shard="s0"} 0.0' in pipeline.ask("metrics")["metrics"]
        pipeline.ask("resume", shard="s0")  # which tries again, and finds the same
        pipeline.wait_until(lambda status: states_of(status)["s0"] == "failed")
        insert(databases[1], 13)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11, 12, 13]})
        assert pipeline.stop() == 0, pipeline.log()
        assert read_source_states(pipeline.paths.recovery)["log@s0"] == before
        assert pipeline.log_text().count("source failed: ") == 3
    finally:
        pipeline.end()


def test_a_shard_that_nobody_may_read_is_read_once_that_is_mended(databases, tmp_path):
    role = f"r_{databases[0].name}"
    databases[0].execute(f"create role {role} superuser password 'x'")
    source = source_of(databases, shard_failure="go_on")
    source["config"]["shards"][0]["dsn"] = databases[0].url(user=role, password="x")
    pipeline = Pipeline(tmp_path, source)
    try:
        pipeline.start(waits=False)
        status = pipeline.wait_until(lambda status: states_of(status) == {"s0": "failed", "s1": "running"})
        assert "s0: " in status["source"]["last_error"]
        insert(databases[1], 11)
        wait_for(lambda: pipeline.rows() == {"p.s1": [11]})
        databases[0].execute(f"alter role {role} login")
        pipeline.ask("resume", shard="s0")
        pipeline.wait_until(lambda status: set(states_of(status).values()) == {"running"})
        insert(databases[0], 1)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11]})
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
        databases[0].execute(f"drop role {role}")


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def call(plane, method, path, body=None, *, expected=200, **options):
    status, answer = plane.call(method, path, body, **options)
    assert status == expected, answer
    return answer


MERGE = {"Content-Type": "application/merge-patch+json"}


def test_shards_come_and_go_over_rest_and_nothing_is_lost(plane, databases, tmp_path):
    insert(databases[0], 1)
    insert(databases[1], 11)
    source = source_of(databases, snapshot={"mode": "initial"})
    both = source["config"]["shards"]
    both[0]["dsn"] = both[0]["dsn"].replace(f":{databases[0].server.password}@", ":***@")
    refused = call(
        plane, "POST", "/pipelines", document(source, file_sink(tmp_path / "out.jsonl"), name="p"), expected=400
    )
    assert "spec.source.config.shards[0].dsn: holds only the redacted form" in refused["message"]

    source["config"]["shards"] = source_of(databases)["config"]["shards"][:1]
    shown = call(plane, "POST", "/pipelines", document(source, file_sink(tmp_path / "out.jsonl"), name="p"))
    (shard,) = shown["spec"]["spec"]["source"]["config"]["shards"]
    assert (shard["id"], ":***@" in shard["dsn"]) == ("s0", True)
    wait_for(lambda: rows_in(tmp_path) == {"p.s0": [1]})  # copied

    patch = {"spec": {"source": {"config": {"shards": [shard, source_of(databases)["config"]["shards"][1]]}}}}
    call(plane, "PATCH", "/pipelines/p", patch, headers=MERGE)
    wait_for(lambda: rows_in(tmp_path) == {"p.s0": [1], "p.s1": [11]})  # a first start of its own
    jobs = call(plane, "GET", "/pipelines/p/snapshots")
    assert sorted((job["shard"], job["kind"]) for job in jobs) == [("s0", "initial"), ("s1", "initial")]
    wait_for(lambda: {job["status"] for job in call(plane, "GET", "/pipelines/p/snapshots")} == {"completed"})
    (table,) = call(plane, "GET", "/pipelines/p/schemas")
    assert (table["table"], [*table["shards"].values()]) == ("t", [["s0", "s1"]])
    assert len(call(plane, "GET", "/pipelines/p/schemas/public/t/versions?shard=s1")) == 1
    call(plane, "GET", "/pipelines/p/schemas?shard=s2", expected=400)

    patch["spec"]["source"]["config"]["shards"] = [shard]
    call(plane, "PATCH", "/pipelines/p", patch, headers=MERGE)
    insert(databases[0], 2)
    insert(databases[1], 12)
    wait_for(lambda: rows_in(tmp_path) == {"p.s0": [1, 2], "p.s1": [11]})
    assert [each["id"] for each in call(plane, "GET", "/pipelines/p")["ops"]["shards"]] == ["s0"]

    patch["spec"]["source"]["config"]["shards"] = [shard, source_of(databases)["config"]["shards"][1]]
    call(plane, "PATCH", "/pipelines/p", patch, headers=MERGE)
    wait_for(lambda: rows_in(tmp_path) == {"p.s0": [1, 2], "p.s1": [11, 12]})  # it goes on, and copies nothing again

    call(plane, "POST", "/pipelines/p/pause?shard=s0")
    insert(databases[0], 3)
    insert(databases[1], 13)
    wait_for(lambda: rows_in(tmp_path) == {"p.s0": [1, 2], "p.s1": [11, 12, 13]})
    call(plane, "POST", "/pipelines/p/resume?shard=s0")
    wait_for(lambda: rows_in(tmp_path)["p.s0"] == [1, 2, 3])
    asked = {"tables": ["public.t"], "shard": "s1"}
    assert (
        "say which shard" in call(plane, "POST", "/pipelines/p/snapshots", {"tables": ["*"]}, expected=400)["message"]
    )
    job = call(plane, "POST", "/pipelines/p/snapshots", asked, expected=202)
    assert (job["shard"], job["kind"]) == ("s1", "ad_hoc")
    wait_for(lambda: sorted(rows_in(tmp_path)["p.s1"]) == [11, 11, 12, 12, 13, 13])

    call(plane, "POST", "/pipelines/p/stop")
    saved = {each["lane"]: each["position"] for each in call(plane, "GET", "/pipelines/p/checkpoints")}
    call(plane, "POST", "/pipelines/p/checkpoints/reset", {"to": saved["s0"]}, expected=400)
    call(plane, "POST", "/pipelines/p/checkpoints/reset", {"to": "earliest", "shard": "s2"}, expected=400)
    call(plane, "POST", "/pipelines/p/checkpoints/reset", {"to": "latest", "shard": "s0", "snapshot": True})
    assert call(plane, "GET", "/pipelines/p")["ops"]["pending_reset"] == {
        "shards": {"s0": {"to": "latest", "snapshot": True}}
    }
    before = len(rows_in(tmp_path)["p.s1"])
    call(plane, "POST", "/pipelines/p/resume")
    wait_for(lambda: sorted(rows_in(tmp_path)["p.s0"]) == [1, 1, 2, 2, 3, 3])
    assert len(rows_in(tmp_path)["p.s1"]) == before
    assert "pending_reset" not in call(plane, "GET", "/pipelines/p")["ops"]
    call(plane, "DELETE", "/pipelines/p?drop_slot=true", expected=204)
    assert databases[0].rows("select slot_name from pg_replication_slots where slot_name like 's\\_%'") == []
