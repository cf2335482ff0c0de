"""What positions of one log say of each other, and of the events of that log, against the log itself."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.event import SourceInfo
from deltaforge.core.positions import MysqlPosition, PostgresPosition, decode_position, encode_position, is_same_place
from deltaforge.core.positions.gtid import GtidSet, MariadbGtids

SOURCES = [f"{digit}e11fa47-71ca-11e1-9e33-c80aa9429562" for digit in "345"]


def source(**keys):
    return SourceInfo(version="v", connector="c", name="p", ts_ms=1, db="d", table="t", **keys)


@st.composite
def mysql_logs(draw, kind):
    """Positions between the transactions of a log, and an event of each transaction. The log goes on at another server
    now and then, where there are GTIDs.
    """
    gtids = {"mysql": GtidSet, "mariadb": MariadbGtids, "none": str}[kind]()
    file, pos, server, newest = 8, 4, 0, dict[int, int]()
    positions, events = [MysqlPosition("b.8", 4, "", kind, "server0")], []
    for _ in range(draw(st.integers(1, 12))):
        step = draw(st.sampled_from(["row"] * 6 + ["file"] + ["server"] * (kind != "none")))
        if step == "file":
            file, pos = file + 1, 4
        elif step == "server":
            file, pos, server = draw(st.integers(1, 12)), draw(st.integers(4, 5000)), server + 1
        pos += draw(st.integers(1, 300))
        origin = draw(st.integers(0, 2))
        newest[origin] = newest.get(origin, 0) + 1
        gtid = {
            "mysql": f"{SOURCES[origin]}:{newest[origin]}",
            "mariadb": f"{origin}-{server + 1}-{newest[origin]}",
        }.get(kind)
        if gtid:
            gtids.add(gtid)
        events.append(source(file=f"b.{file}", pos=pos, **({"gtid": gtid} if gtid else {})))
        positions.append(MysqlPosition(f"b.{file}", pos, str(gtids), kind, f"server{server}"))
    first = 0 if kind == "none" else 1  # what has no GTIDs yet is compared by file alone
    return positions[first:], events[first:]


@st.composite
def postgres_logs(draw):
    """As above. Each commit record has a length; a position stands behind it."""
    lsn, positions, events = draw(st.integers(1, 1 << 62)), [], []
    positions.append(PostgresPosition(lsn, None, "s", 1))
    for xid in range(draw(st.integers(1, 12))):
        commit = lsn + draw(st.integers(0, 500))
        lsn = commit + draw(st.integers(1, 60))
        events.append(source(lsn=f"{commit >> 32:X}/{commit & 0xFFFFFFFF:X}"))
        positions.append(PostgresPosition(lsn, xid, "s", draw(st.integers(1, 3)), xid))
    return positions, events


logs = st.one_of(mysql_logs("mysql"), mysql_logs("mariadb"), mysql_logs("none"), postgres_logs())


@given(logs)
def test_the_positions_of_a_log_are_in_its_order(log):
    positions, _ = log
    for index, position in enumerate(positions):
        for other_index, other in enumerate(positions):
            assert position.is_behind(other) is (index < other_index)
            assert is_same_place(position, other) is (index == other_index)


@given(logs)
def test_a_position_covers_the_events_before_it_and_no_others(log):
    positions, events = log
    for index, position in enumerate(positions):
        assert [position.covers(event) for event in events] == [number < index for number in range(len(events))]


@given(logs)
def test_order_grows_along_the_log_of_one_server(log):
    for before, after in pairwise(log[0]):
        if getattr(before, "server_uuid", "") == getattr(after, "server_uuid", ""):
            assert before.order < after.order


gtid_sets = st.dictionaries(st.sampled_from(SOURCES), st.sets(st.integers(1, 9), min_size=1), min_size=1).map(
    lambda found: ",".join(f"{uuid}:{':'.join(map(str, sorted(numbers)))}" for uuid, numbers in found.items())
)
domains = st.dictionaries(st.integers(0, 2), st.tuples(st.integers(1, 2), st.integers(1, 9)), min_size=1).map(
    lambda found: ",".join(f"{domain}-{server}-{number}" for domain, (server, number) in found.items())
)
any_positions = st.one_of(
    *(
        st.builds(MysqlPosition, st.sampled_from(["b.1", "b.2", "c.10"]), st.integers(4, 9), gtids, st.just(flavor),
                  st.sampled_from("ab"))
        for gtids, flavor in ((gtid_sets, "mysql"), (domains, "mariadb"), (st.just(""), "mysql"))
    ),
    st.builds(PostgresPosition, st.integers(0, 9), st.none() | st.integers(1, 9), st.sampled_from("st")),
)  # fmt: skip


def is_within(position, other):
    """Whether all that is before one position is before another; None if nobody can tell."""
    behind = other.is_behind(position)
    return None if behind is None else not behind


def is_comparable_kind(*positions):
    """Positions with and without GTIDs of one server are in order along a log, not in any mixture."""
    return len({bool(getattr(position, "gtid_set", "")) for position in positions}) == 1


@given(any_positions, any_positions, any_positions)
def test_containment_is_a_partial_order(one, two, three):
    assert one.is_behind(one) is False
    assert (one.is_behind(two) is None) == (two.is_behind(one) is None)
    if is_comparable_kind(one, two, three) and is_within(one, two) and is_within(two, three):
        assert is_within(one, three)
    if is_comparable_kind(one, two, three) and is_same_place(one, two) and is_same_place(two, three):
        assert is_same_place(one, three)


@given(any_positions)
def test_a_position_survives_saving_and_an_operator_writing_it_down(position):
    assert decode_position(encode_position(position)) == position
    assert is_same_place(type(position).from_view(position.view()), position)
