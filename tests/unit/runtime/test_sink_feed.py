"""The feed of a sink that comes and goes, over crashes at every moment: no gap, and nothing is lost."""

import itertools
import random
import time

import pytest

from deltaforge.checkpoint.spool import START, Spool
from deltaforge.core.batch import Batch
from deltaforge.core.errors import SinkError
from deltaforge.core.positions import PostgresPosition
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import sink_worker
from deltaforge.runtime.sink_feed import SinkFeed
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.spool_meter import SpoolMeter
from deltaforge.sinks.base import SinkConfig
from deltaforge.testing.fakes import RecordingSink, make_chunk, make_event
from tests.unit.waiting import wait_until

LAST_ROW = 200
TX_ENDS = [1, 2, 5, 6, 20, 21, 60, 61, 62, 90, 91, 92, 93, 130, 150, 151, 152, 180, 190, 200]
"""The rows that are the last of their transactions."""


def batch_of(row):
    """A row as the source sends it: a transaction of several rows comes in parts, which all have its commit."""
    commit = next(end for end in TX_ENDS if end >= row)
    before = max((end for end in TX_ENDS if end < row), default=0)
    position = commit + 1 if row == commit else before + 1
    return Batch([make_event(row, commit)], PostgresPosition(position), is_tx_end=row == commit, byte_count=100)


class Sink(RecordingSink):
    def __init__(self):
        super().__init__(self._refuse)
        self.is_down = False

    def _refuse(self, _name, _number):
        if self.is_down:
            raise SinkError("down", kind="connect")


class Life:
    """One run of the pipeline, of which only the feed is there."""

    def __init__(self, folder, sink, saved):
        self.position, mark = self.saved = saved
        metrics, config = PipelineMetrics("p"), SinkConfig(id="k")
        worker = SinkWorker(config, sink, metrics, acked=None, max_queued=2)
        spool = Spool(folder, None, mark.first if mark else START, mark.end if mark else START, segment_bytes=2000)
        self.feed = SinkFeed(
            worker, spool, config.spool, SpoolMeter(metrics, "k", 1 << 30), mark=mark, is_follower=True
        )
        self.row = self.position

    def take(self):
        if self.row <= LAST_ROW:
            batch = batch_of(self.row)
            assert self.feed.take(batch, 1)
            self.position, self.row = batch.position.lsn, self.row + 1

    def barrier(self):
        return self.position, self.feed.spool_unacked()


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_over_crashes_and_outages(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    dice, sink = random.Random(seed), Sink()
    life = Life(tmp_path / "spool", sink, (1, None))
    for _ in range(8):
        for _ in range(dice.randrange(5, 60)):
            step = dice.random()
            if step < 0.75:
                life.take()
            elif step < 0.85:
                sink.is_down = not sink.is_down
            elif step < 0.95:
                life.saved = life.barrier()
            else:
                time.sleep(0.005)
        if dice.random() < 0.5:
            life.barrier()  # and a crash before it is saved
        life.feed.close()
        life = Life(tmp_path / "spool", sink, life.saved)
    sink.is_down = False
    while life.row <= LAST_ROW:
        life.take()
    wait_until(life.feed.is_acked)
    life.barrier()
    life.feed.close()
    delivered = sink.durable
    assert set(delivered) == set(range(1, LAST_ROW + 1)), f"seed {seed}"
    assert all(after <= before + 1 for before, after in itertools.pairwise(delivered)), f"seed {seed}"
    begins = [after for before, after in itertools.pairwise(delivered) if after <= before]
    assert all(row == 1 or row - 1 in TX_ENDS for row in begins), f"seed {seed}: {begins}"


def test_a_chunk_waits_in_the_spool_as_a_whole_and_is_written_for_nobody_else(tmp_path):
    sink = Sink()
    sink.is_down = True
    life = Life(tmp_path / "spool", sink, (1, None))
    chunks = [
        make_chunk(1, first=1000, event_count=10),
        make_chunk(2, first=2000, sinks=("other",)),
        make_chunk(3, first=3000, sinks=("k", "other")),
        make_chunk(4, first=4000, event_count=0),
    ]
    for chunk in chunks:
        life.take()
        assert life.feed.take(chunk, 1)
    assert not life.feed.is_live  # the queue of two is full
    life.saved = life.barrier()
    life.feed.close()
    sink.is_down = False
    life = Life(tmp_path / "spool", sink, life.saved)
    wait_until(life.feed.is_acked)
    life.feed.close()
    assert sink.durable == [1, *range(1000, 1010), 2, 3, 3000, 4]
