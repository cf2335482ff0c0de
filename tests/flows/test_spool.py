"""Sinks that nobody waits for: what they cannot take is on disk, and comes in order, in the same run or a later one."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor

import pytest
from bytewax.errors import BytewaxRuntimeError

from deltaforge.checkpoint.reader import read_delivery_state, read_source_state
from deltaforge.checkpoint.reset import ResetRequest, write_reset
from deltaforge.core.errors import SinkError, StorageError
from deltaforge.core.positions import LogEdge, PostgresPosition
from deltaforge.runtime.resets import reset_of_start
from deltaforge.runtime.status import metrics_text
from deltaforge.spec.model import AllPolicy, QuorumPolicy
from deltaforge.testing.fakes import RecordingGatherer, RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

OPTIONAL = {"optional": frozenset({"opt"})}
SMALL = {"opt": {"spool": {"max_bytes": 4000}}}
DETACH = {"opt": {"spool": {"max_bytes": 4000, "on_full": "detach"}}}


@pytest.fixture(scope="module")
def saved():
    """Reads the recovery store in another process, as the control plane does."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda read, pipeline: pool.submit(read, pipeline.paths.recovery).result()


class SwitchedSink(RecordingSink):
    """Refuses every call while it is down."""

    def __init__(self, *, is_down=True):
        super().__init__(self._refuse)
        self.is_down = is_down

    def _refuse(self, _name, _number):
        if self.is_down:
            raise SinkError("down", kind="connect")


def value_of(pipeline, name):
    lines = [
        line
        for line in metrics_text(pipeline.running).splitlines()
        if line.startswith(name + "{") and 'sink="opt"' in line
    ]
    return float(lines[0].rpartition(" ")[2])


def gave_up_waiting(pipeline):
    delivery = pipeline.delivery
    return delivery is not None and any("its spool is full" in error for error in delivery.errors().values())


def fail(pipeline, *, until, match):
    with pytest.raises((SinkError, BytewaxRuntimeError)):  # by way of a snapshot, Bytewax wraps it
        run(pipeline, until=until)
    assert re.search(match, str(pipeline.failure))


def rows(last):
    return list(range(1, last + 1))


@pytest.mark.parametrize("options", [{}, {"policy": AllPolicy(mode="all")}], ids=["required", "all"])
def test_no_barrier_waits_for_a_sink_that_gathers_and_nothing_of_it_is_lost(tmp_path, saved, options):
    good, gatherer = RecordingSink(), RecordingGatherer()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=100), {"good": good, "opt": gatherer}, **options)
    run(pipeline, until=lambda: len(gatherer.written) == 100 and len(good.durable) == 100)
    assert saved(read_source_state, pipeline).position == PostgresPosition(101)
    assert gatherer.durable == []

    gatherer = RecordingGatherer()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=120), {"good": good, "opt": gatherer}, **options)

    def until():
        gatherer.is_due = len(gatherer.written) == 120
        return len(gatherer.durable) == 120

    run(pipeline, until=until)
    assert (good.durable, gatherer.durable) == (rows(120), rows(120))


def test_sink_that_comes_back_gets_everything_in_order_in_the_same_run(tmp_path, saved):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=300), {"good": good, "opt": opt}, **OPTIONAL)
    waiting = []

    def until():
        if len(good.durable) == 300:
            opt.is_down = False
            waiting.append(value_of(pipeline, "deltaforge_sink_spool_events"))
        return len(opt.durable) >= 300

    run(pipeline, until=until)
    assert (good.durable, opt.durable) == (rows(300), rows(300))
    assert saved(read_source_state, pipeline).position == PostgresPosition(301)
    assert waiting[0] > 200
    assert value_of(pipeline, "deltaforge_sink_spool_events") == 0
    assert value_of(pipeline, "deltaforge_sink_spool_written_events_total") >= 200


def test_sink_that_stays_down_holds_nothing_and_gets_its_rows_after_a_restart(tmp_path, saved):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=100), {"good": good, "opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 100)
    assert (good.durable, opt.durable) == (rows(100), [])
    assert saved(read_source_state, pipeline).position == PostgresPosition(101)

    opt.is_down = False
    stream = ScriptedStream(last=120)
    pipeline = FakePipeline(tmp_path, stream, {"good": good, "opt": opt}, **OPTIONAL)
    run(pipeline, until=lambda: len(opt.durable) >= 120)
    assert stream.starts == [101]
    assert (good.durable, opt.durable) == (rows(120), rows(120))
    assert not list(pipeline.paths.spools.rglob("*.segment")) or saved(read_delivery_state, pipeline).spools


def test_stop_saves_what_came_out_of_the_spool_although_the_source_is_quiet(tmp_path):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=200), {"good": good, "opt": opt}, **OPTIONAL)

    def until():
        opt.is_down = opt.is_down and len(good.durable) < 200
        return len(opt.durable) >= 200 and pipeline.delivery.feeds[1].is_acked()

    run(pipeline, until=until)
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=210), {"good": good, "opt": opt}, **OPTIONAL)
    run(pipeline, until=lambda: 210 in good.durable and 210 in opt.durable)
    assert (good.durable, opt.durable) == (rows(210), rows(210))


def test_only_optional_sinks_that_are_down_still_move_the_position(tmp_path, saved):
    opt = SwitchedSink()
    stream = ScriptedStream(last=50)
    pipeline = FakePipeline(tmp_path, stream, {"opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: bool(stream.confirmed) and stream.confirmed[-1] == 51)
    opt.is_down = False
    run(FakePipeline(tmp_path, ScriptedStream(last=50), {"opt": opt}, **OPTIONAL), until=lambda: len(opt.durable) >= 50)
    assert opt.durable == rows(50)


def test_crash_with_rows_in_the_spool_loses_nothing_and_repeats_only_what_was_not_saved(tmp_path, saved):
    good, opt = RecordingSink(), SwitchedSink()
    crashing = RecordingSink()

    def crash(row):
        if row == 80:
            raise RuntimeError("crash")

    sinks = {"good": good, "opt": opt, "other": crashing}
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=200), sinks, **OPTIONAL)
    crashing._fault = lambda name, number: crash(80 if name == "write" and number > 150 else 0)
    fail(pipeline, until=lambda: False, match="other failed unexpectedly: RuntimeError")
    at = saved(read_source_state, pipeline).position.lsn
    opt.is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=200), {"good": good, "opt": opt}, **OPTIONAL)
    run(pipeline, until=lambda: 200 in good.durable and 200 in opt.durable)
    assert opt.durable == rows(200)
    repeated = [row for row in good.durable if good.durable.count(row) > 1]
    assert sorted(set(good.durable)) == rows(200)
    assert all(row >= at for row in repeated)


@pytest.mark.parametrize("is_stopped", [True, False])
def test_transaction_in_parts_is_whole_for_a_sink_that_was_down(tmp_path, is_stopped):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=80, tx_rows=40), {"good": good, "opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    if is_stopped:
        run(pipeline, until=lambda: len(good.durable) >= 60)
        opt = SwitchedSink(is_down=False)  # a worker that was left behind may close the other one at any time
        pipeline = FakePipeline(tmp_path, ScriptedStream(last=80, tx_rows=40), {"good": good, "opt": opt}, **OPTIONAL)

    def until():
        opt.is_down = opt.is_down and len(good.durable) < 50
        return 80 in good.durable and 80 in opt.durable

    run(pipeline, until=until)
    assert opt.durable == rows(80)


def test_full_spool_holds_the_pipeline_says_so_and_goes_on(tmp_path):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=400), {"good": good, "opt": opt}, settings=SMALL, **OPTIONAL)
    seen = []

    def until():
        if opt.is_down and gave_up_waiting(pipeline):
            seen.append(len(good.durable))
            opt.is_down = len(seen) < 20
        return len(opt.durable) >= 400

    run(pipeline, until=until)
    assert (good.durable, opt.durable) == (rows(400), rows(400))
    assert seen[-1] < 400
    assert pipeline.delivery.errors() == {}


def test_full_spool_of_a_sink_that_has_ended_fails_the_pipeline(tmp_path):
    def refuse(name, _number):
        raise SinkError("wrong password", kind="auth")

    good, opt = RecordingSink(), RecordingSink(refuse)
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=400), {"good": good, "opt": opt}, settings=SMALL, **OPTIONAL)
    fail(pipeline, until=lambda: False, match="sink opt has ended and its spool is full: wrong password")
    assert pipeline.failure.kind == "auth"


@pytest.mark.parametrize("is_back_before", [True, False])
def test_full_spool_detaches_the_sink_until_its_checkpoint_is_reset(tmp_path, saved, is_back_before):
    good, opt = RecordingSink(), SwitchedSink()
    options = {"settings": DETACH, **OPTIONAL}
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=400), {"good": good, "opt": opt}, **options)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 400)
    assert good.durable == rows(400)
    error = pipeline.delivery.errors()["opt"]
    end = saved(read_delivery_state, pipeline).spools["opt"].position.lsn
    assert error.startswith("detached: its spool was full")
    assert f'nothing behind {{"lsn":"0/{end:X}"' in error

    opt.is_down = not is_back_before
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=410), {"good": good, "opt": opt}, **options)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 410 and (opt.is_down or len(opt.durable) >= end - 1))
    assert opt.durable == (rows(end - 1) if is_back_before else [])
    assert "detached" in pipeline.delivery.errors()["opt"]

    opt.is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=420), {"good": good, "opt": opt}, **options)
    write_reset(pipeline.paths.reset, ResetRequest(id="r", position=PostgresPosition(end), sink_id="opt"))
    pipeline.reset = reset_of_start(pipeline.info)
    run(pipeline, until=lambda: len(good.durable) >= 420 and 420 in opt.durable)
    assert (good.durable, opt.durable) == (rows(420), rows(420))
    assert pipeline.delivery.errors() == {}


def test_damaged_spool_is_an_error_that_names_the_sink(tmp_path):
    good, opt = RecordingSink(), SwitchedSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=200), {"good": good, "opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 200)
    segment = next(pipeline.paths.spools.rglob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x55
    segment.write_bytes(data)
    opt.is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=210), {"good": good, "opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 210 and "damaged" in pipeline.delivery.errors().get("opt", ""))
    assert "damaged" in pipeline.delivery.errors()["opt"]
    assert good.durable == rows(210)
    assert opt.durable == rows(len(opt.durable))

    segment.unlink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=220), {"good": good, "opt": opt}, **OPTIONAL)
    with pytest.raises((StorageError, BytewaxRuntimeError)) as caught:
        run(pipeline, until=lambda: False)
    assert "not as long as it was" in str(caught.value.__cause__ or caught.value)


def test_quorum_goes_on_without_the_sinks_that_are_behind(tmp_path, saved):
    sinks = {"a": RecordingSink(), "b": SwitchedSink(), "c": RecordingSink()}
    options = {"policy": QuorumPolicy(mode="quorum", quorum=2)}
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=300), sinks, **options)

    def until():
        done = len(sinks["a"].durable) == len(sinks["c"].durable) == 300
        sinks["b"].is_down = sinks["b"].is_down and not done
        return done and len(sinks["b"].durable) >= 300

    run(pipeline, until=until)
    assert all(sink.durable == rows(300) for sink in sinks.values())
    assert saved(read_source_state, pipeline).position == PostgresPosition(301)


def test_quorum_that_is_not_there_holds_the_position(tmp_path, saved):
    sinks = {"a": RecordingSink(), "b": SwitchedSink(), "c": SwitchedSink()}
    options = {"policy": QuorumPolicy(mode="quorum", quorum=2)}
    stream = ScriptedStream(last=300)
    pipeline = FakePipeline(tmp_path, stream, sinks, **options)
    pipeline.ending.grace_secs = 0.2

    def until():
        return sinks["a"].durable and {"b", "c"} <= pipeline.delivery.errors().keys()

    fail(pipeline, until=until, match="stopped before sink")
    state = saved(read_source_state, pipeline)
    assert state is None or state.position == PostgresPosition(1)  # None: the rows were in its first epoch
    assert set(stream.confirmed) <= {1}

    sinks["c"].is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=300), sinks, **options)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: all(300 in sinks[name].durable for name in "ac"))
    sinks["b"].is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=300), sinks, **options)
    run(pipeline, until=lambda: 300 in sinks["b"].durable)
    assert sinks["b"].durable == rows(300)
    assert all(sorted(set(sink.durable)) == rows(300) for sink in sinks.values())


def test_quorum_of_sinks_that_have_ended_fails_with_their_reasons(tmp_path):
    def refuse(_name, _number):
        raise SinkError("wrong password", kind="auth")

    sinks = {"a": RecordingSink(refuse), "b": RecordingSink()}
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=30), sinks, policy=QuorumPolicy(mode="quorum", quorum=2))
    fail(pipeline, until=lambda: False, match="2 sinks have to ack, and 1 have ended: a: wrong password")


@pytest.mark.parametrize(("start", "first"), [("latest", 31), ("earliest", 1)])
@pytest.mark.parametrize("is_optional", [True, False])
def test_new_sink_begins_where_its_document_says(tmp_path, start, first, is_optional):
    old, new = RecordingSink(), RecordingSink()
    run(FakePipeline(tmp_path, ScriptedStream(last=30), {"old": old}), until=lambda: len(old.durable) >= 30)
    options = {"settings": {"new": {"start": start}}, "optional": frozenset({"new"} if is_optional else ())}
    for last in (40, 50):
        pipeline = FakePipeline(tmp_path, ScriptedStream(last=last), {"old": old, "new": new}, **options)
        pipeline.reset = reset_of_start(pipeline.info)
        run(pipeline, until=lambda last=last: last in new.durable and last in old.durable)
    assert new.durable == list(range(first, 51))
    assert old.durable == rows(50)


def test_reading_again_for_a_new_sink_repeats_nothing_of_what_waits_for_another(tmp_path):
    good, opt, new = RecordingSink(), SwitchedSink(), RecordingSink()
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=100), {"good": good, "opt": opt}, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 100)
    opt.is_down = False
    sinks = {"good": good, "opt": opt, "new": new}
    pipeline = FakePipeline(
        tmp_path, ScriptedStream(last=120), sinks, settings={"new": {"start": "earliest"}}, **OPTIONAL
    )
    pipeline.reset = reset_of_start(pipeline.info)
    assert pipeline.reset.edge is LogEdge.EARLIEST
    run(pipeline, until=lambda: all(120 in sink.durable for sink in sinks.values()))
    assert all(sink.durable == rows(120) for sink in sinks.values())


def test_removed_sink_forgets_its_position_and_what_waited_for_it(tmp_path, saved):
    good, opt = RecordingSink(), SwitchedSink()
    sinks = {"good": good, "opt": opt}
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=60), sinks, **OPTIONAL)
    pipeline.ending.grace_secs = 0.2
    run(pipeline, until=lambda: len(good.durable) >= 60)
    before = saved(read_delivery_state, pipeline)
    assert before.spools["opt"].first < before.spools["opt"].end

    pipeline = FakePipeline(tmp_path, ScriptedStream(last=70), {"good": good})
    run(pipeline, until=lambda: len(good.durable) >= 70 and not pipeline.paths.spool("opt").exists())
    without = saved(read_delivery_state, pipeline)
    assert (without.members, list(without.spools)) == (["good"], [])
    assert without.generation_of("opt") != before.generation_of("opt")

    opt.is_down = False
    pipeline = FakePipeline(tmp_path, ScriptedStream(last=80), sinks, **OPTIONAL)
    run(pipeline, until=lambda: 80 in opt.durable and len(good.durable) >= 80)
    assert opt.durable == list(range(71, 81))
