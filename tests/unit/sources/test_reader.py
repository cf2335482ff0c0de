import pytest

from deltaforge.core.errors import ControlError, PositionLostError, SourceError
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.retry import Backoff
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.reader import LogReader
from deltaforge.testing.fakes import ScriptedStream, make_batch
from tests.unit.waiting import wait_until

FAST = Backoff(initial_secs=0.001, max_secs=0.01)


def reader_of(stream, **options):
    return LogReader("s1", lambda: stream, PipelineMetrics("p"), backoff=FAST, **options)


def take(reader, count):
    rows = []
    while len(rows) < count:
        batch = reader.get(5)
        assert batch is not None, rows
        rows += [event.after["id"] for event in batch.events()]
    return rows


def test_first_start_hands_out_the_start_position_before_any_row():
    reader = reader_of(ScriptedStream(last=2))
    reader.start(None)
    first = reader.get(5)
    assert (first.event_count, first.position) == (0, PostgresPosition(1))
    assert take(reader, 2) == [1, 2]
    reader.close()


def test_reconnect_continues_behind_the_last_queued_batch():
    failed = []

    def cut(row):
        if row == 3 and len(failed) < 2:
            failed.append(row)
            raise SourceError("connection cut", kind="connect")

    stream = ScriptedStream(last=5, fault=cut)
    reader = reader_of(stream)
    reader.start(PostgresPosition(1))
    assert take(reader, 5) == [1, 2, 3, 4, 5]
    assert stream.starts == [1, 3, 3]
    assert reader.status().reconnects == 2
    reader.close()


def test_an_error_that_nobody_foresaw_says_where_the_reading_was_and_no_value():
    def fault(row):
        if row == 3:
            int("secret")

    reader = reader_of(ScriptedStream(last=5, fault=fault))
    reader.start(PostgresPosition(1))
    assert take(reader, 2) == [1, 2]
    with pytest.raises(SourceError) as caught:
        reader.get(5)
    reader.close()
    text = str(caught.value)
    assert text.startswith("reading failed unexpectedly: ValueError at deltaforge/testing/fakes.py:")
    assert 'behind {"lsn":"0/3","tx_id":null}, log read or known up to {"lsn":"0/6","tx_id":null}' in text
    assert "secret" not in text


class SplitTransactions(ScriptedStream):
    """Each transaction leaves in batches of one row, and is read from its beginning after a reconnection."""

    def open(self, position):
        self._ended = super().open(position)
        return self._ended

    def poll(self, timeout_secs):
        found = super().poll(timeout_secs)
        for batch in found:
            (event,) = batch.events()
            number = event.after["id"]
            event.event_id = EventIds.of("postgresql", "o", str((number - 1) // self._tx_rows)).at(number)
            if batch.is_tx_end:
                self._ended = batch.position
            batch.position = self._ended
        return found


def test_reconnect_in_a_split_transaction_repeats_none_of_its_rows():
    cuts = []

    def cut(row):
        if row in (3, 7) and cuts.count(row) < 2:
            cuts.append(row)
            raise SourceError("connection cut", kind="connect")

    stream = SplitTransactions(last=8, fault=cut, tx_rows=4)
    reader = reader_of(stream)
    reader.start(PostgresPosition(1))
    assert take(reader, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert stream.starts == [1, 1, 1, 5, 5]
    reader.close()


def test_lost_position_is_final_and_comes_after_everything_read():
    def lose(row):
        if row == 3:
            raise PositionLostError("the log is gone")

    reader = reader_of(ScriptedStream(last=5, fault=lose))
    reader.start(PostgresPosition(1))
    assert take(reader, 2) == [1, 2]
    wait_until(lambda: not reader.status().connected)
    with pytest.raises(PositionLostError):
        reader.get(5)
    assert not reader.status().connected
    reader.close()


def test_full_queue_stops_reading_but_keeps_the_connection_alive():
    stream = ScriptedStream(last=1000)
    reader = reader_of(stream, max_queue_bytes=10 * make_batch(1).held_bytes)
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().queued_batches == 10)
    before = len(stream.confirmed)
    wait_until(lambda: len(stream.confirmed) > before)
    assert reader.status().queued_batches == 10
    assert take(reader, 1000) == list(range(1, 1001))
    reader.close()


def test_paused_reader_reads_nothing_and_continues_where_it_stopped():
    stream = ScriptedStream(last=20)
    reader = reader_of(stream)
    reader.pause()
    reader.start(PostgresPosition(1))
    wait_until(lambda: len(stream.confirmed) > 2)
    assert reader.get(0.01) is None
    assert reader.status().paused
    reader.resume()
    assert take(reader, 20) == list(range(1, 21))
    reader.close()


def test_rows_of_a_poll_under_way_wait_until_resume():
    stream = ScriptedStream(last=20)
    reader = reader_of(stream)
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().queued_batches == 20)
    assert take(reader, 3) == [1, 2, 3]
    reader.pause()
    assert reader.get(0.01) is None
    assert reader.status().queued_batches == 17
    reader.resume()
    assert take(reader, 17) == list(range(4, 21))
    reader.close()


def test_pause_lets_a_begun_transaction_end():
    stream = ScriptedStream(last=9, tx_rows=3)
    reader = reader_of(stream)
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().queued_batches == 9)
    assert take(reader, 1) == [1]
    reader.pause()
    assert take(reader, 2) == [2, 3]
    assert reader.get(0.01) is None
    reader.close()


@pytest.mark.parametrize("state", ["idle", "paused", "full"])
def test_reload_is_answered_whatever_the_reader_does(state):
    stream = ScriptedStream(last=0 if state == "idle" else 1000)
    reader = reader_of(stream, max_queue_bytes=10 * make_batch(1).held_bytes)
    if state == "paused":
        reader.pause()
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().connected and (state != "full" or reader.status().queued_batches == 10))
    (table,) = reader.reload([("app", "t")], timeout_secs=10)
    assert (table.database, table.table, table.status) == ("app", "t", "ok")
    reader.close()


def test_reload_passes_on_what_went_wrong_and_reading_goes_on():
    class Refusing(ScriptedStream):
        def reload(self, _tables):
            raise SourceError("the catalog is locked", kind="permission")

    reader = reader_of(Refusing(last=3))
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().connected)
    with pytest.raises(SourceError, match="the catalog is locked"):
        reader.reload(None, timeout_secs=10)
    assert take(reader, 3) == [1, 2, 3]
    reader.close()


def test_reload_needs_a_connection():
    def refuse(_):
        raise SourceError("no", kind="connect")

    reader = reader_of(ScriptedStream(last=3, fault=refuse))
    with pytest.raises(ControlError, match="not connected"):
        reader.reload(None)
    reader.start(PostgresPosition(1))
    reader.close()


def test_reload_that_a_disconnection_overtakes_is_refused():
    reader = None

    class Breaking(ScriptedStream):
        def poll(self, _timeout_secs):
            wait_until(lambda: reader._reloads)
            raise PositionLostError("the log is gone")

    reader = reader_of(Breaking(last=3))
    reader.start(PostgresPosition(1))
    wait_until(lambda: reader.status().connected)
    with pytest.raises(ControlError, match="was disconnected"):
        reader.reload(None, timeout_secs=10)
    reader.close()
