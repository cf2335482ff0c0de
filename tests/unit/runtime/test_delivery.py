"""The threads of the sinks when not all of them can be had."""

import threading

import pytest
from bytewax.recovery import init_db_dir

from deltaforge.checkpoint.state import DeliveryState, SpoolMark, SpoolPlace
from deltaforge.core.errors import SpecError, StorageError
from deltaforge.core.positions import PostgresPosition
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.ending import stop_secs_of
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.testing.fakes import RecordingSink, ScriptedStream, fake_spec


def pipeline_of(tmp_path, sinks, **options):
    spec, paths = fake_spec(ScriptedStream(last=1), sinks, **options), PipelinePaths(tmp_path, "p")
    paths.create()
    init_db_dir(paths.recovery, 1)
    return RunningPipeline(RunInfo(spec, paths, PipelineMetrics("p")))


def threads():
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("sink-", "spool-"))}


class Closable(RecordingSink):
    is_closed = False

    def close(self):
        self.is_closed = True


def test_the_threads_of_the_sinks_before_one_that_cannot_be_built_end(tmp_path):
    first, second = Closable(), Closable()
    pipeline = pipeline_of(tmp_path, {"first": first, "second": second, "third": None})

    def fail(_context):
        raise SpecError("it cannot be built")

    pipeline.info.spec.spec.sinks[2].build = fail
    with pytest.raises(SpecError):
        pipeline.deliver(pipeline.info, None, None)
    assert not threads()
    assert first.is_closed
    assert second.is_closed


def test_the_threads_end_when_what_waits_for_one_cannot_be_opened(tmp_path):
    sinks = {"first": Closable(), "second": Closable()}
    pipeline = pipeline_of(tmp_path, sinks, optional=frozenset(sinks))
    mark = SpoolMark(SpoolPlace(1, 8), SpoolPlace(7, 9000), PostgresPosition(5), False)
    state = DeliveryState(source_id="s1", sinks=[], spools={"second": mark})
    with pytest.raises(StorageError):
        pipeline.deliver(pipeline.info, state, None)
    assert not threads()
    assert all(sink.is_closed for sink in sinks.values())


def test_closing_again_is_nothing(tmp_path):
    pipeline = pipeline_of(tmp_path, {"k": Closable()})
    delivery = pipeline.deliver(pipeline.info, None, None)
    delivery.close()
    delivery.close()
    assert not threads()


@pytest.mark.parametrize(("text", "secs"), [(None, 10), ("", 10), ("30", 30), ("2.5", 2.5)])
def test_a_stop_takes_as_long_as_the_environment_says(text, secs):
    assert stop_secs_of({} if text is None else {"DELTAFORGE_STOP_SECS": text}) == secs


@pytest.mark.parametrize("text", ["2", "-1", "inf", "nan", "soon"])
def test_a_stop_needs_a_limit(text):
    with pytest.raises(SpecError, match="DELTAFORGE_STOP_SECS"):
        stop_secs_of({"DELTAFORGE_STOP_SECS": text})
