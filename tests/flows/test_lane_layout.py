"""Lanes are cut anew only where nothing is left to deliver; then the new ones go on where the old ones stood."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import UNSET

from deltaforge.checkpoint.reader import read_delivery_states, read_lane_checkpoints, read_source_state
from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions import PostgresPosition
from deltaforge.runtime import lane_layout
from deltaforge.runtime.lane_layout import era_of, settle_layout
from deltaforge.runtime.lane_status import feeds
from deltaforge.runtime.outcome import Outcome
from deltaforge.runtime.status import metrics_text
from deltaforge.spec.model import ShardingSpec
from deltaforge.testing.fakes import RecordingSink, ScriptedStream, fail_on
from tests.flows.running import FakePipeline, run

CLEAN, KILLED = Outcome(status="stopped"), None


def pipeline_of(folder, count, last, *, make=lambda _: RecordingSink(), outcome=CLEAN, **options):
    """A pipeline of one sink, and the sinks of its lanes."""
    made = {}

    def of_lane(context):
        return made.setdefault(context.lane, make(context))

    sharding = ShardingSpec(mode="key", count=count)
    pipeline = FakePipeline(folder, ScriptedStream(last), {"a": of_lane}, sharding=sharding, **options)
    settle_layout(pipeline.info, outcome)
    return pipeline, made


def delivered(sinks):
    return sorted(row for sink in sinks.values() for row in sink.durable)


def test_lanes_go_on_where_those_of_another_number_stood(tmp_path):
    first, eras = 1, []
    for count, last in [(1, 40), (3, 90), (2, 150), (3, 180), (1, 200)]:
        pipeline, sinks = pipeline_of(tmp_path, count, last)
        run(pipeline, until=lambda sinks=sinks, wanted=last + 1 - first: len(delivered(sinks)) >= wanted)
        assert delivered(sinks) == list(range(first, last + 1))
        assert all(sink.durable == sorted(sink.durable) for sink in sinks.values())
        found = read_lane_checkpoints(pipeline.paths.recovery, pipeline.spec.lanes())
        assert [sink.position for _, sink in found] == [read_source_state(pipeline.paths.recovery).position] * count
        first, eras = last + 1, [*eras, era_of(pipeline.paths)]
    assert eras == [0, 1, 2, 3, 4]


def test_a_pipeline_without_lanes_has_no_file_and_no_word_of_them_in_its_state(tmp_path):
    pipeline, sinks = pipeline_of(tmp_path, 1, 5)
    run(pipeline, until=lambda: len(delivered(sinks)) >= 5)
    assert not pipeline.paths.lanes.exists()
    assert read_delivery_states(pipeline.paths.recovery)["delivery"].era is UNSET
    assert not (pipeline.paths.root / "lanes").exists()


def test_what_waits_in_a_spool_keeps_the_lanes_as_they_are(tmp_path):
    options = {"optional": frozenset({"a"})}
    down = lambda _: RecordingSink(fail_on("open", *range(1, 100)))  # noqa: E731 - a sink of each lane
    pipeline, sinks = pipeline_of(tmp_path, 3, 30, make=down, **options)
    written = pipeline.info.metrics.spool_written.labels("p", "a")
    run(pipeline, until=lambda: written._value.get() >= 30)
    assert delivered(sinks) == []
    with pytest.raises(CheckpointError, match="from 3 lanes by key to 2 lanes by key: events wait in the sp") as caught:
        pipeline_of(tmp_path, 2, 40, **options)
    assert "as it was" in caught.value.hint
    pipeline, sinks = pipeline_of(tmp_path, 3, 30, **options)
    run(
        pipeline,
        until=lambda: (
            len(delivered(sinks)) >= 30 and all(feed.is_acked() for feed in feeds(pipeline.running.deliveries))
        ),
    )
    assert delivered(sinks) == list(range(1, 31))
    pipeline, _ = pipeline_of(tmp_path, 2, 40, **options)
    assert era_of(pipeline.paths) == 2


def saved_as(monkeypatch, pipeline, **changes):
    """Have the saved states of lanes say something else."""
    states = read_delivery_states(pipeline.paths.recovery)
    changed = {
        key: msgspec.structs.replace(
            state, sinks=[msgspec.structs.replace(sink, acked_at=datetime.now(UTC), **changes) for sink in state.sinks]
        )
        for key, state in states.items()
    }
    monkeypatch.setattr(lane_layout, "read_delivery_states", lambda _: changed)


def test_a_sink_that_keeps_its_progress_has_to_have_been_stopped(tmp_path, monkeypatch):
    pipeline, sinks = pipeline_of(tmp_path, 3, 30)
    run(pipeline, until=lambda: len(delivered(sinks)) >= 30)
    pipeline_of(tmp_path, 3, 30, outcome=KILLED)  # as it was
    saved_as(monkeypatch, pipeline, kept=PostgresPosition(31))
    for outcome in (KILLED, Outcome(status="failed"), Outcome(status="stopped", message="it is slow")):
        with pytest.raises(CheckpointError, match="did not end with a stop, and sink a may have more"):
            pipeline_of(tmp_path, 2, 30, outcome=outcome)
    saved_as(monkeypatch, pipeline, kept=PostgresPosition(40), position=PostgresPosition(40))
    with pytest.raises(CheckpointError, match="read again for another sink, and sink a has more of it"):
        pipeline_of(tmp_path, 2, 30)
    monkeypatch.undo()
    pipeline_of(tmp_path, 2, 30, outcome=KILLED)  # a sink that does not is written to again, as ever
    assert era_of(pipeline.paths) == 2


def test_gauges_of_spools_are_those_of_all_lanes(tmp_path):
    down = lambda _: RecordingSink(fail_on("open", *range(1, 100)))  # noqa: E731 - a sink of each lane
    pipeline, _ = pipeline_of(tmp_path, 3, 30, make=down, optional=frozenset({"a"}))
    written = pipeline.info.metrics.spool_written.labels("p", "a")
    run(pipeline, until=lambda: written._value.get() >= 30)
    lines = metrics_text(pipeline.running).splitlines()
    assert 'deltaforge_sink_spool_events{pipeline="p",sink="a"} 30.0' in lines
