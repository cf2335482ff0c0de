"""What a snapshot of PostgreSQL says of transactions, and how far its reader comes."""

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.event import SourceInfo
from deltaforge.sources.postgres.snapshot.marks import Since, Snapshot, SnapshotMark, reachable

EPOCH = 1 << 32


def source(xid=None):
    known = {} if xid is None else {"txId": xid}
    return SourceInfo(
        version="v", connector="postgresql", name="p", ts_ms=0, db="d", schema="public", table="t", **known
    )


def test_a_snapshot_sees_what_was_over():
    mark = SnapshotMark(Snapshot.of("10:20:12,15"), "s")
    assert [xid for xid in range(1, 30) if mark.sees(source(xid))] == [n for n in range(1, 20) if n not in (12, 15)]
    assert not mark.sees(source())
    assert not mark.sees(source(0))
    assert SnapshotMark(Snapshot.of("10:10:"), "s").sees(source(9))
    with pytest.raises(SourceError):
        Snapshot.of("10:20")


def test_xid_wraparound_epoch():
    below = Snapshot.of(f"{3 * EPOCH - 10}:{3 * EPOCH - 5}:{3 * EPOCH - 7}")
    above = Snapshot.of(f"{3 * EPOCH - 10}:{3 * EPOCH + 8}:{3 * EPOCH - 7},{3 * EPOCH + 4}")
    assert (below.whole(EPOCH - 7), below.whole(3)) == (3 * EPOCH - 7, 3 * EPOCH + 3)
    assert (above.whole(EPOCH - 7), above.whole(4)) == (3 * EPOCH - 7, 3 * EPOCH + 4)
    seen = {xid: SnapshotMark(above, "s").sees(source(xid)) for xid in (EPOCH - 7, EPOCH - 6, 3, 4, 7, 8)}
    assert seen == {EPOCH - 7: False, EPOCH - 6: True, 3: True, 4: False, 7: True, 8: False}
    assert not SnapshotMark(below, "s").sees(source(3))


def test_a_standby_does_not_say_who_is_running():
    snapshot = Snapshot.of("10:20:", is_standby=True)
    assert [snapshot.sees(xid) for xid in (9, 10, 19, 20)] == [True, False, False, False]


def test_a_chunk_is_settled_once_it_sees_who_was_running():
    since = Since(frozenset({12, 15, 20}), "s")
    assert since.running_in(Snapshot.of("10:20:12,15")) == {12, 15, 20}
    assert since.running_in(Snapshot.of("10:30:12,15,22")) == {12, 15}
    assert since.running_in(Snapshot.of("15:30:15,22")) == {15}
    assert since.running_in(Snapshot.of("22:30:22")) == set()


@pytest.mark.parametrize(
    ("lsn", "reached"), [(0x3000028, 0x3000000), (0x3002018, 0x3002000), (0x3002028, 0x3002028), (0x3000018, 0x3000000)]
)
def test_behind_a_page_header_nobody_comes(lsn, reached):
    assert reachable(lsn, 8192, 16 << 20) == reached
