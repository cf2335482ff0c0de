"""What the sinks of lanes say at a start, some of them in other processes."""

import msgspec

from deltaforge.core.chunks_ahead import ChunksAhead, LaneSays
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.core.snapshot import ChunkMark

MARKS = tuple(ChunkMark(number, "j", "d", "t") for number in (1, 2, 3))


def test_a_lane_of_another_process_is_waited_for_until_all_of_its_sinks_were_heard():
    here, there = ChunksAhead(2), ChunksAhead(2)
    here.expect(["k"], 0)
    here.note("k", None, 0)
    assert here.waiting_for() == "the sinks of this pipeline to be there"
    there.expect(["k", "l"], 1)
    there.note("l", None, 1)
    pass_on(there, here)
    assert here.waiting_for() == "sink k to say which rows it has"
    there.note("k", SinkProgress(PostgresPosition(1), chunks=MARKS[1:]), 1)
    pass_on(there, here)
    assert here.waiting_for() is None
    assert here.marks(0) == MARKS[1:]
    assert here.marks(2) == MARKS[2:]


def test_where_no_sink_keeps_its_progress_nobody_is_waited_for():
    assert ChunksAhead(0).waiting_for() is None


def pass_on(there, here):
    """As over a socket."""
    for says in msgspec.json.decode(msgspec.json.encode(there.of_lanes()), type=list[LaneSays]):
        here.take(says)
