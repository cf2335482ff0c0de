"""A reset of the checkpoint, carried out by the dataflow: once, at the next start, whatever happens in between."""

import pytest
from bytewax.errors import BytewaxRuntimeError

from deltaforge.checkpoint.reader import read_checkpoints, read_source_state
from deltaforge.checkpoint.reset import ResetRequest, read_reset, write_reset
from deltaforge.core.errors import PositionLostError, SinkError
from deltaforge.core.positions import LogEdge, PostgresPosition
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

TO_5 = ResetRequest(id="r1", position=PostgresPosition(5))


@pytest.fixture
def delivered(tmp_path):
    """A pipeline that delivered rows 1 to 20 and stopped."""
    sink = RecordingSink()
    run(FakePipeline(tmp_path, ScriptedStream(last=20), {"k": sink}), until=lambda: len(sink.durable) == 20)
    return tmp_path


def start(folder, sinks, *, stream=None, reset=None, until=None):
    """Run once more, as the launcher does."""
    pipeline = FakePipeline(folder, stream or ScriptedStream(last=25), sinks)
    if reset is not None:
        write_reset(pipeline.paths.reset, reset)
    pipeline.reset = read_reset(pipeline.paths.reset)
    run(pipeline, until=until or (lambda: all(25 in sink.durable for sink in sinks.values())))
    return pipeline


def test_rows_come_again_from_the_position_and_once(delivered):
    sink = RecordingSink()
    pipeline = start(delivered, {"k": sink}, reset=TO_5)
    assert sink.durable == list(range(5, 26))
    assert not pipeline.paths.reset.exists()
    again = RecordingSink()
    start(delivered, {"k": again}, stream=ScriptedStream(last=30), until=lambda: 30 in again.durable)
    assert again.durable == list(range(26, 31))


def test_edge_is_left_to_the_source(delivered):
    sink = RecordingSink()
    start(delivered, {"k": sink}, reset=ResetRequest(id="r", edge=LogEdge.EARLIEST))
    assert sink.durable == list(range(1, 26))


def test_kill_between_save_and_removal_of_the_file_does_not_apply_it_twice(delivered):
    sink, again = RecordingSink(), RecordingSink()
    pipeline = start(delivered, {"k": sink}, reset=TO_5)
    write_reset(pipeline.paths.reset, TO_5)  # as if it had not been removed
    pipeline = start(delivered, {"k": again}, stream=ScriptedStream(last=30), until=lambda: 30 in again.durable)
    assert again.durable == list(range(26, 31))
    assert not pipeline.paths.reset.exists()


def test_source_that_cannot_begin_there_loses_neither_the_reset_nor_the_old_position(delivered):
    class Lost(ScriptedStream):
        def open(self, _position):
            raise PositionLostError("the slot begins behind it")

    before = read_source_state(delivered / "pipelines/p/recovery")
    pipeline = start(delivered, {"k": RecordingSink()}, stream=Lost(last=25), reset=TO_5, until=lambda: False)
    assert isinstance(pipeline.failure, PositionLostError)
    assert read_source_state(pipeline.paths.recovery) == before
    assert [c.position for c in read_checkpoints(pipeline.paths.recovery)] == [PostgresPosition(21)]
    sink = RecordingSink()
    start(delivered, {"k": sink})
    assert sink.durable == list(range(5, 26))


def test_stop_before_the_source_is_connected_loses_nothing(delivered):
    class Unreachable(ScriptedStream):
        is_asked = False

        def open(self, _position):
            Unreachable.is_asked = True
            raise SinkError("no route", kind="connect")

    start(
        delivered, {"k": RecordingSink()}, stream=Unreachable(last=25), reset=TO_5, until=lambda: Unreachable.is_asked
    )
    sink = RecordingSink()
    start(delivered, {"k": sink})
    assert sink.durable == list(range(5, 26))


def test_crash_in_the_replay_goes_on_from_what_was_saved(delivered):
    def fail(verb, _count):
        if verb == "flush" and 12 in sink.durable:
            raise SinkError("fenced", kind="fatal")

    sink = RecordingSink(fail)
    with pytest.raises((BytewaxRuntimeError, SinkError)):
        start(delivered, {"k": sink}, reset=TO_5, until=lambda: False)
    after = RecordingSink()
    start(delivered, {"k": after})
    assert sink.durable[0] == 5
    assert sorted(set(sink.durable) | set(after.durable)) == list(range(5, 26))
    assert after.durable[0] >= 5


def test_one_sink_is_set_back_and_the_others_get_nothing_twice(tmp_path):
    first = {"a": RecordingSink(), "b": RecordingSink()}
    run(
        FakePipeline(tmp_path, ScriptedStream(last=20), first),
        until=lambda: all(len(sink.durable) == 20 for sink in first.values()),
    )
    sinks = {"a": RecordingSink(), "b": RecordingSink()}
    reset = ResetRequest(id="r", position=PostgresPosition(5), sink_id="a")
    start(tmp_path, sinks, reset=reset)
    assert sinks["a"].durable == list(range(5, 26))
    assert sinks["b"].durable == list(range(21, 26))


def test_crash_while_one_sink_is_set_back_gives_the_others_nothing_twice(tmp_path):
    first = {"a": RecordingSink(), "b": RecordingSink()}
    run(
        FakePipeline(tmp_path, ScriptedStream(last=20), first),
        until=lambda: all(len(sink.durable) == 20 for sink in first.values()),
    )

    def fail(verb, _count):
        if verb == "flush" and 12 in broken["a"].durable:
            raise SinkError("fenced", kind="fatal")

    broken = {"a": RecordingSink(fail), "b": RecordingSink()}
    reset = ResetRequest(id="r", position=PostgresPosition(5), sink_id="a")
    with pytest.raises((BytewaxRuntimeError, SinkError)):
        start(tmp_path, broken, stream=ScriptedStream(last=20), reset=reset, until=lambda: False)
    sinks = {"a": RecordingSink(), "b": RecordingSink()}
    start(tmp_path, sinks)
    assert broken["b"].durable == []
    assert sinks["b"].durable == list(range(21, 26))
    assert sorted(set(broken["a"].durable) | set(sinks["a"].durable)) == list(range(5, 26))
