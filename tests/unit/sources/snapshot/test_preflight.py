"""What is said of copies that may outlive the log."""

from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot.base import Kept, TablePlan
from deltaforge.sources.snapshot.preflight import CopySize, ToldRisks

MIB = 1 << 20


def plan(number, mib, rows=1000, stripes=1):
    return TablePlan(("s", f"t{number}"), "ctid", "", (None,) * stripes, rows, mib * MIB)


def test_the_time_is_that_of_the_slowest_bound():
    size = CopySize(SnapshotConfig(max_parallel_tables=2))
    assert size.secs == 0
    for number in range(4):
        size.add(plan(number, 200))
    size.add(plan(0, 200))
    assert (size.table_count, size.row_count, size.byte_count, size.secs) == (4, 4000, 800 * MIB, 20)
    size.add(plan(5, 2000))
    assert size.secs == 100  # one table on one connection
    size.add(plan(5, 2000, stripes=4))
    assert size.secs == 70
    slow = CopySize(SnapshotConfig(max_rows_per_second=10))
    slow.add(plan(1, 1))
    assert slow.secs == 100


def test_each_step_is_told_once_when_the_tables_reach_it():
    told = ToldRisks(SnapshotConfig())
    assert told.news(plan(0, 400)) == []  # nobody knows what is kept
    told.kept = Kept(None, 2000 * MIB)
    assert told.news(plan(1, 99)) == []
    (half,) = told.news(plan(2, 1))
    assert "twice the size of the tables is half or more of the 2.0 GiB that the server keeps" in half
    assert told.news(plan(3, 299)) == []
    (most,) = told.news(plan(4, 1))
    assert "80 % or more" in most
    assert "max_slot_wal_keep_size" in most
    assert told.news(plan(5, 9000)) == []


def test_time_and_size_are_told_apart():
    size = CopySize(SnapshotConfig(max_parallel_tables=1))
    size.add(plan(1, 2000))
    assert [risk.step for risk in size.risks(Kept(150, None))] == ["time half"]
    assert [risk.step for risk in size.risks(Kept(120, 5000 * MIB))] == ["time 80 %", "size 80 %"]
    assert list(size.risks(Kept())) == []
