"""What people see of a snapshot job."""

from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.core.snapshot_view import job_fraction, job_view, state_views


def test_a_job_is_the_sum_of_its_tables():
    done = TableCopy("shop", "users", "completed", row_count=100, byte_count=5000, estimated_rows=80)
    half = TableCopy(
        "shop",
        "orders",
        "copying",
        "keyset",
        plan="{}",
        row_count=450,
        byte_count=9000,
        estimated_rows=900,
        fraction=0.5,
    )
    waits = TableCopy("shop", "empty")
    job = SnapshotJob("j1", "initial", (done, half, waits), requested_ms=1_700_000_000_123, began_ms=1_700_000_001_000)
    view = job_view(job, rows_per_second=45.04, eta_seconds=10.04, waiting_for="transaction 7")
    assert (view["rows"], view["bytes"], view["status"], view["waiting_for"]) == (
        550,
        14000,
        "running",
        "transaction 7",
    )
    assert (view["requested_at"], view["ended_at"]) == ("2023-11-14T22:13:20.123Z", None)
    assert (view["rows_per_second"], view["eta_seconds"]) == (45.0, 10.0)
    assert view["fraction"] == round((100 + 450) / 1001, 4)
    assert [table["name"] for table in view["tables"]] == ["shop.users", "shop.orders", "shop.empty"]
    assert [table["fraction"] for table in view["tables"]] == [1.0, 0.5, 0.0]
    assert [table["method"] for table in view["tables"]] == ["whole", "keyset", None]


def test_a_completed_job_is_done_whatever_was_estimated():
    job = SnapshotJob("j", "initial", (), status="completed")
    assert job_fraction(job) == 1.0
    assert job_fraction(SnapshotJob("j", "initial", ())) == 0.0


def test_jobs_that_go_on_come_first_then_the_newest():
    jobs = [SnapshotJob(name, "ad_hoc", ()) for name in ("c", "d", "a", "b")]
    state = SnapshotState(jobs=tuple(jobs[:2]), ended=tuple(jobs[2:]))
    assert [view["id"] for view in state_views(state)] == ["c", "d", "b", "a"]
    assert state_views(None) == []
