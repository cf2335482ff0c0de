import pytest

from deltaforge.checkpoint.reader import SHARDS_STEP
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.dataflow import build_dataflow
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.plan import explain, steps_of
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.spec import parse_document


def document_of(policy):
    source = {"type": "mysql", "config": {"id": "s", "dsn": "mysql://u:p@h/d", "tables": []}}
    sinks = [
        {"type": "file", "config": {"id": "a", "path": "/a"}},
        {"type": "file", "config": {"id": "b", "path": "/b", "required": False, "spool": {"max_bytes": 100}}},
    ]
    spec = {"source": source, "processors": [], "sinks": sinks, "commit_policy": policy}
    return parse_document({"metadata": {"name": "p", "tenant": "t"}, "spec": spec}).spec


@pytest.mark.parametrize(
    ("policy", "waited_for"),
    [({"mode": "required"}, ["a"]), ({"mode": "all"}, ["a", "b"]), ({"mode": "quorum", "quorum": 1}, [])],
)
def test_plan_says_which_sinks_are_waited_for(policy, waited_for):
    text = explain(document_of(policy), mermaid=False)
    assert [name for name in "ab" if f"file {name}, waited for" in text] == waited_for
    assert ("file b, not waited for (spool of 100 bytes, then block)" in text) == ("b" not in waited_for)
    picture = explain(document_of(policy), mermaid=True)
    assert picture.count("[(spool)] -.->") == 2 - len(waited_for)


def test_plan_shows_what_is_read_sensed_and_kept():
    source = {
        "type": "postgres",
        "config": {"id": "s", "dsn": "host=h", "publication": "pub", "slot": "slot_1", "tables": []},
    }
    sinks = [{"type": "stdout", "config": {"id": "a"}}]
    spec = {
        "source": source,
        "processors": [],
        "sinks": sinks,
        "schema_sensing": {"enabled": True},
        "journal": {"enabled": True},
    }
    parsed = parse_document({"metadata": {"name": "p", "tenant": "t"}, "spec": spec}).spec
    text = explain(parsed, mermaid=False)
    for line in (
        "  publication pub",
        "  slot        slot_1",
        "batching  in the reader thread: 2000 events",
        "sensing   1 of 10 rows of a table, after its first 1000: shape and drift, saved in 64 shards",
        "delivery  barrier by commit policy required",
        "  journal dead letters, at most 10000, then drop_oldest",
    ):
        assert line in text, text
    picture = explain(parsed, mermaid=True)
    assert "-->|publication pub<br/>slot slot_1| reading" in picture
    assert "reading --> batching[batching<br/>2000 events]" in picture
    assert "source --> sensing[sensing<br/>drift] --> delivery[delivery<br/>barrier]" in picture


def split_document(count, **source):
    config = {"id": "s", "dsn": "mysql://u:p@h/d", "tables": [], **source}
    spec = {
        "source": {"type": "mysql", "config": config},
        "processors": [],
        "sinks": [{"type": "file", "config": {"id": "a", "path": "/a", "required": False}}],
        "schema_sensing": {"enabled": True},
        "sharding": {"mode": "key", "count": count},
    }
    return parse_document({"metadata": {"name": "p", "tenant": "t"}, "spec": spec}).spec


def test_plan_shows_lanes_and_shards():
    shards = [{"id": name, "dsn": f"mysql://u:p@{name}/d"} for name in ("eu", "us")]
    spec = split_document(2, shards=shards)
    text = explain(spec, mermaid=False)
    assert "lanes     2 by key of each of 2 logs" in text
    assert "  shard     us" in text
    picture = explain(spec, mermaid=True)
    assert 'log1[("mysql<br/>s@us")] --> reading' in picture
    assert "source --> sensing[sensing<br/>drift] --> route{by key} --> delivery0" in picture
    assert 'route --> delivery3["delivery, barrier<br/>us#1"]' in picture
    assert picture.count("[(spool)]") == 4
    assert 'delivery3["delivery, barrier<br/>61 more"]' in explain(split_document(64), mermaid=True)


def test_plan_has_the_steps_of_the_dataflow(tmp_path):
    for count in (1, 3):
        spec = split_document(count)
        info = RunInfo(spec, PipelinePaths(tmp_path, "p"), PipelineMetrics("p"))
        flow = build_dataflow(RunningPipeline(info))
        names = [step.step_name for step in flow.substeps]
        assert [name for name in names if name != SHARDS_STEP] == steps_of(spec)
