"""How far a copy is, how fast, and when it will be done."""

import pytest

from deltaforge.core.snapshot import SnapshotJob, TableCopy
from deltaforge.core.snapshot_view import job_fraction
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.snapshot.counts import SnapshotCounts, eta_secs
from deltaforge.sources.snapshot.pace import BURST_SECS, Pace
from deltaforge.sources.snapshot.states import Delivered


def job_of(*tables):
    return SnapshotJob("j", "initial", tables)


def delivered(counts, row_count, now):
    counts.delivered("s.t", Delivered(row_count=row_count), is_reread=False, now=now)


def test_progress_eta():
    """Tables count by their rows, and those that wait by what they are estimated to have."""
    done = TableCopy("s", "done", "completed", row_count=20_000, estimated_rows=25_000)
    half = TableCopy("s", "half", "copying", row_count=5_000, estimated_rows=10_000, fraction=0.5)
    rest = TableCopy("s", "rest", "waiting", estimated_rows=65_000)
    job = job_of(done, half, rest)
    assert job_fraction(job) == pytest.approx(0.3)
    assert eta_secs(job, 1000.0) == pytest.approx(25_000 * 0.7 / 0.3 / 1000)
    assert eta_secs(job, None) is None
    assert eta_secs(job, 0.0) is None
    assert eta_secs(job_of(rest), 1000.0) is None


def test_the_rate_is_that_of_the_last_half_minute():
    counts = SnapshotCounts(PipelineMetrics("p"), 0.0)
    counts.begin(100.0)
    assert counts.rate.rows_per_second(100.0) == 0
    delivered(counts, 5_000, 105.0)
    assert counts.rate.rows_per_second(110.0) == pytest.approx(500)
    delivered(counts, 3_000, 130.0)
    assert counts.rate.rows_per_second(140.0) == pytest.approx(100)  # the first are 35 s ago
    assert counts.progressed_at == 130.0
    counts.begin(141.0)
    assert counts.rate.rows_per_second(142.0) == 0


def test_a_bound_is_paid_back_and_what_was_not_used_is_not_saved_up():
    pace = Pace(1000)
    assert pace.wait_secs(0.0) == 0
    pace.note(10_000, 60.0)
    assert pace.wait_secs(60.0) == pytest.approx(10 - BURST_SECS)
    assert pace.wait_secs(70.0) == 0
    assert Pace(None).wait_secs(0.0) == 0
