import msgspec

from deltaforge.core.snapshot import ChunkMark, SnapshotJob, SnapshotState, Stripe, TableCopy
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.base import TablePlan


def planned():
    plan = TablePlan(("s", "t"), "keyset", "key", (Stripe(None, "5"), Stripe("5", None)), estimated_rows=10)
    return states.planned(TableCopy("s", "t"), plan)


def mark(number=1, **fields):
    return ChunkMark(number, "j", "s", "t", **fields)


def test_stripes_are_copied_in_any_order_and_split():
    copy = states.delivered(planned(), mark(stripe=1, low="5", high="8"), states.Delivered(3, 30, 1))
    copy = states.split(copy, 1, "9")
    assert copy.stripes == (Stripe(None, "5"), Stripe("8", "9"), Stripe("9", None))
    for stripe, high in ((0, "5"), (2, None), (1, "9")):
        assert not states.is_copied(copy)
        copy = states.delivered(copy, mark(stripe=stripe, high=high), states.Delivered(1, 10))
    assert states.is_copied(copy)
    assert (copy.row_count, copy.byte_count, copy.chunk_count, copy.dropped_count) == (6, 60, 4, 1)


def test_a_table_is_copied_once_nothing_has_to_be_read_again():
    copy = states.delivered(planned(), mark(stripe=0, high="5"), states.Delivered(reread=("a", "b", "a")))
    copy = states.delivered(copy, mark(stripe=1, high=None), states.Delivered())
    assert copy.reread == ("a", "b")
    copy = states.delivered(copy, mark(reread=("a", "b")), states.Delivered(2, reread=("b",)))
    assert (copy.reread, copy.reread_count, states.is_copied(copy)) == (("b",), 2, False)
    assert states.is_copied(states.delivered(copy, mark(reread=("b",)), states.Delivered(1)))


def ended(state, number, kind, *tables):
    job = SnapshotJob(f"{kind}{number}", kind, tuple(TableCopy("s", name) for name in tables))
    return states.ended(states.requested(state, job), job.id, "completed", number)


def test_old_jobs_are_forgotten_but_not_which_tables_are_known():
    state = ended(SnapshotState(), 0, "initial", "a", "b")
    state = ended(state, 0, "new_table", "c")
    for number in range(states.KEPT_ENDED + 5):
        state = ended(state, number, "ad_hoc", "a")
    assert [job.id for job in state.ended[:3]] == ["initial0", "new_table0", "ad_hoc5"]
    assert len(state.ended) == states.KEPT_ENDED + 2
    for number in range(1, states.KEPT_ENDED + 5):
        state = ended(state, number, "initial", "a", "b", "c")
    assert len(state.ended) == states.KEPT_ENDED


def test_a_state_survives_the_store():
    job = states.begun(SnapshotJob("j", "initial", ()), [("s", "t")], 5)
    state = states.requested(SnapshotState(), states.with_table(job, planned()))
    assert msgspec.json.decode(msgspec.json.encode(state), type=SnapshotState) == state
    assert states.requested(state, job) is state
