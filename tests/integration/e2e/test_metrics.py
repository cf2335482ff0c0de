"""The metrics as a real Prometheus sees them, and against their description."""

import os
import re
import signal
from pathlib import Path

import pytest

from deltaforge.build import build
from deltaforge.kernel import compiled
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for

ROOT = Path(__file__).parents[3]
DESCRIBED = re.compile(r"^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]*) \|", re.MULTILINE)
ODD = 'we"ird \\ta\nble'
LINTED = {"deltaforge_schema_tables_total", "deltaforge_schema_dynamic_maps_total"}
"""Gauges whose names the contract has with the suffix of counters."""


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


@pytest.fixture
def delivered(plane, tmp_path, postgres_database):
    """A pipeline that has delivered three rows of two tables, one of them with an odd name."""
    quoted = '"' + ODD.replace('"', '""') + '"'
    postgres_database.execute(
        "create table t (id int primary key)",
        f"create table {quoted} (id int primary key)",
        "create publication pub for all tables",
    )
    body = document(postgres_source(postgres_database), file_sink("out.jsonl"), name="orders-cdc")
    body["metadata"]["labels"] = {"env": "dev", "team.name/x": 'a "b"'}
    body["spec"]["schema_sensing"] = {"enabled": True}
    assert plane.call("POST", "/pipelines", body)[1]["status"] == "running"
    postgres_database.execute("insert into t values (1), (2)", f"insert into {quoted} values (1)")
    wait_for(lambda: len(file_events(tmp_path / "out.jsonl")) == 3)
    return plane


def samples_of(text):
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line and line[0] != "#"
    }


def described():
    return {name: kind for name, kind, _ in DESCRIBED.findall((ROOT / "docs/metrics.md").read_text())}


def test_what_is_exposed_is_described_and_the_reverse(delivered):
    text = delivered.call("GET", "/metrics")[1]
    exposed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    ours = {name: kind for name, kind in exposed.items() if name.startswith("deltaforge_")}
    assert ours == described()
    assert [name for name in exposed if name.endswith("_created")] == []
    assert set(re.findall(r"^# HELP (\S+)", text, re.MULTILINE)) == set(exposed)


def test_rows_that_python_decoded_are_counted_in_metrics_and_shown_to_the_operator(delivered):
    expected = {"no_kernel": 3} if compiled is None else {"first_row": 2}
    assert delivered.call("GET", "/pipelines/orders-cdc")[1]["ops"]["python_rows"] == expected
    samples = samples_of(delivered.call("GET", "/metrics")[1])
    for reason, count in expected.items():
        assert samples[f'deltaforge_python_rows_total{{pipeline="orders-cdc",reason="{reason}"}}'] == count


def test_promtool_finds_nothing_wrong(delivered, promtool):
    _, found = promtool("check", "metrics", text=delivered.call("GET", "/metrics")[1])
    assert {line for line in found.splitlines() if line.split(" ")[0] not in LINTED} == set()


def test_a_prometheus_sees_what_was_delivered_over_a_kill(
    delivered, private_prometheus, postgres_database, tmp_path, server_room
):
    config = server_room.folder / "metrics.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: deltaforge, static_configs: [{{targets: ['{delivered.metrics}']}}]}}]\n"
    )
    prometheus = private_prometheus(config)

    def value(expression):
        found = prometheus.query(expression)
        return found[0][1] if len(found) == 1 else None

    def becomes(expression, expected):
        """Nothing is known while a scrape took too long."""
        wait_for(lambda: value(expression) == expected)

    wait_for(lambda: prometheus.targets().get(delivered.metrics) == ("up", ""))
    becomes('deltaforge_sink_events_total{sink="file"}', 3)
    lags = wait_for(lambda: prometheus.query("deltaforge_source_table_lag_seconds"))
    assert {labels["table"] for labels, _ in lags} == {"public.t", f"public.{ODD}"}
    assert all(0 <= lag < 60 for labels, lag in lags if labels["table"] == "public.t")
    ((info, one),) = wait_for(lambda: prometheus.query("deltaforge_pipeline_info"))
    assert (one, info["tenant"], info["label_env"], info["label_team_name_x"]) == (1, "acme", "dev", 'a "b"')
    ((built, _),) = wait_for(lambda: prometheus.query("deltaforge_build_info"))
    assert (built["commit"], built["build_date"]) == tuple(build())
    wait_for(lambda: (value('deltaforge_stage_latency_seconds_count{stage="process"}') or 0) >= 1)
    memory = wait_for(lambda: prometheus.query("process_resident_memory_bytes"))
    assert {labels.get("pipeline") for labels, _ in memory} == {None, "orders-cdc"}
    becomes("deltaforge_panics_total", 0)

    pid = int((tmp_path / "state/pipelines/orders-cdc/lock").read_text())
    os.kill(pid, signal.SIGKILL)
    postgres_database.execute("insert into t values (3)")
    wait_for(
        lambda: (
            len(
                {
                    event["after"]["id"]
                    for event in file_events(tmp_path / "out.jsonl")
                    if event["source"]["table"] == "t"
                }
            )
            == 3
        )
    )
    becomes("deltaforge_panics_total", 1)
    wait_for(lambda: (value('deltaforge_sink_events_total{sink="file"}') or 0) >= 1)
    becomes("deltaforge_pipeline_restarts_total", 1)
    assert delivered.call("DELETE", "/pipelines/orders-cdc")[0] == 204
    wait_for(lambda: prometheus.query('{pipeline="orders-cdc"}') == [])
    becomes("deltaforge_panics_total", 1)
