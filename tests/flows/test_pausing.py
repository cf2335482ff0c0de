"""A pause that is answered while the logs are placed holds for those that come later."""

import pytest

from deltaforge.core.errors import ControlError
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run


@pytest.mark.parametrize("starts_paused", [False, True])
def test_a_log_that_is_placed_later_is_as_it_was_asked_for(tmp_path, starts_paused):
    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=3), {"k": sink}, starts_paused=starts_paused)
    running = pipeline.running
    with pytest.raises(ControlError):  # another process may have said yes
        running.set_paused(is_paused=not starts_paused)
    if starts_paused:
        run(pipeline, until=lambda: sink.durable == [1, 2, 3])
    else:
        run(pipeline, until=lambda: running.reader is not None and running.reader.status().connected)
        assert running.reader.status().paused
        assert not sink.durable


def test_a_pause_while_a_log_is_placed_is_not_missed(tmp_path, monkeypatch):
    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=3), {"k": sink})
    running = pipeline.running

    def other_shard_pauses(*_):
        with pytest.raises(ControlError):
            running.set_paused(is_paused=True)

    monkeypatch.setattr("deltaforge.runtime.running.hear_lanes_elsewhere", other_shard_pauses)
    run(pipeline, until=lambda: running.reader is not None and running.reader.status().connected)
    assert running.reader.status().paused
    assert not sink.durable
