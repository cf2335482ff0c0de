"""The dataflow in process: ack, then save, then confirm; stop, resume and failure."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from bytewax.errors import BytewaxRuntimeError

from deltaforge.checkpoint.reader import read_source_state
from deltaforge.core.errors import PositionLostError, SinkError
from deltaforge.core.positions import PostgresPosition
from deltaforge.runtime.first_start import first_position
from deltaforge.testing.fakes import RecordingSink, ScriptedStream, fail_on
from tests.flows.running import FakePipeline, run


@pytest.fixture(scope="module")
def saved_state():
    """Reads the recovery store from another process, as the control plane does: Bytewax has a SQLite of its own,
    and two of them in one process break each other's locks.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda pipeline: pool.submit(read_source_state, pipeline.paths.recovery).result()


def test_stop_and_resume_deliver_each_row_once(tmp_path):
    sink = RecordingSink()
    stops = iter((20, 55, 100))
    for at in stops:
        pipeline = FakePipeline(tmp_path, ScriptedStream(last=at), {"k": sink})
        run(pipeline, until=lambda at=at: len(sink.durable) >= at)
    assert sink.durable == list(range(1, 101))


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_confirmed_before_it_is_saved_and_acked(tmp_path, workers, saved_state):
    sink, stream = RecordingSink(), ScriptedStream(last=200)
    pipeline = FakePipeline(tmp_path, stream, {"k": sink})
    too_early = []

    def keep_alive(confirmed):
        if confirmed is not None:
            stream.confirmed.append(confirmed.lsn)
            saved = saved_state(pipeline)
            if saved is None or saved.position.lsn < confirmed.lsn or len(sink.durable) < confirmed.lsn - 1:
                too_early.append((confirmed.lsn, saved, len(sink.durable)))

    stream.keep_alive = keep_alive
    run(
        pipeline,
        until=lambda: len(sink.durable) >= 200 and stream.confirmed and stream.confirmed[-1] == 201,
        workers=workers,
    )
    assert not too_early
    assert sink.durable == list(range(1, 201))


def test_start_position_is_durable_before_the_first_row_is_delivered(tmp_path, saved_state):
    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=5), {"k": sink})
    saved_at_first_write = []

    def fault(name, _number):
        if name == "write" and not saved_at_first_write:
            saved_at_first_write.append(first_position(pipeline.paths) or saved_state(pipeline))

    sink._fault = fault
    run(pipeline, until=lambda: len(sink.durable) == 5)
    assert saved_at_first_write[0].position == PostgresPosition(1)


def test_required_sink_that_fails_for_a_while_holds_the_saved_position(tmp_path, saved_state):
    saved_while_down = []
    pipeline = None

    def fault(name, number):
        if name == "flush" and number < 10:
            saved_while_down.append((saved_state(pipeline) or first_position(pipeline.paths)).position.lsn)
            raise SinkError("down", kind="connect")

    sink = RecordingSink(fault)
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=30), {"k": sink})
    run(pipeline, until=lambda: len(sink.durable) >= 30)
    assert set(saved_while_down) == {1}
    assert sink.durable == list(range(1, 31))


def test_source_that_lost_its_position_ends_the_flow_after_saving_what_was_delivered(tmp_path, saved_state):
    def lose(row):
        if row == 8:
            raise PositionLostError("the log is gone")

    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=20, fault=lose), {"k": sink})
    run(pipeline, until=lambda: False)
    assert isinstance(pipeline.failure, PositionLostError)
    assert sink.durable == list(range(1, 8))
    assert saved_state(pipeline).position == PostgresPosition(8)


def test_sink_that_failed_for_good_saves_nothing_it_did_not_ack(tmp_path, saved_state):
    sink = RecordingSink(fail_on("write", *range(5, 100), kind="auth"))
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=20), {"k": sink})
    with pytest.raises((SinkError, BytewaxRuntimeError)):  # at a hand-over, or at a barrier
        run(pipeline, until=lambda: False)
    assert pipeline.failure.kind == "auth"
    saved = saved_state(pipeline) or first_position(pipeline.paths)
    assert saved.position.lsn <= len(sink.durable) + 1


def test_state_of_another_source_is_refused(tmp_path):
    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=3), {"k": sink})
    run(pipeline, until=lambda: len(sink.durable) == 3)
    other = FakePipeline(tmp_path, ScriptedStream(last=3), {"k": sink})
    other.spec.spec.source.config.id = "s2"
    with pytest.raises(BytewaxRuntimeError) as caught:
        run(other, until=lambda: True)
    assert "belongs to source 's1'" in str(caught.value.__cause__)


def test_names_on_disk_never_change():
    from deltaforge.checkpoint import reader

    assert (reader.FLOW_ID, reader.SOURCE_STEP, reader.DELIVERY_STEP) == ("deltaforge", "source", "delivery")
    assert (reader.SOURCE_KEY, reader.DELIVERY_KEY) == ("log", "delivery")
