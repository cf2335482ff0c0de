"""What a reset of a checkpoint may say, and the file that carries it."""

from datetime import UTC, datetime

import pytest

from deltaforge.checkpoint.reset import ResetRequest, read_reset, remove_reset, request_from_body, write_reset
from deltaforge.checkpoint.state import (
    DeliveryState,
    SinkCheckpoint,
    SpoolMark,
    SpoolPlace,
    decode_delivery_state,
    encode_state,
)
from deltaforge.core.errors import CheckpointError, SpecError
from deltaforge.core.positions import LogEdge, MysqlPosition, PostgresPosition

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
MYSQL_SAVED = MysqlPosition("binlog.000009", 500, f"{UUID}:1-9", server_uuid="u")


def request(body, source_type="mysql", **options):
    return request_from_body(body, source_type=source_type, sink_ids=["a", "b"], **options)


@pytest.mark.parametrize("edge", list(LogEdge))
def test_edges_are_taken_by_name(edge):
    found = request({"to": edge.value})
    assert (found.start, found.sink_id, found.view()) == (edge, None, {"to": edge.value})


def test_tables_are_copied_again_only_if_that_is_asked_for():
    assert not request({"to": "latest", "snapshot": False}).snapshot
    found = request({"to": "latest", "snapshot": True, "sink_id": None})
    assert (found.snapshot, found.view()) == (True, {"to": "latest", "snapshot": True})


@pytest.mark.parametrize(
    ("source_type", "position"),
    [
        ("mysql", MysqlPosition("binlog.000010", 4)),
        ("mysql", MysqlPosition("binlog.000010", 157, f"{UUID}:1-5:7")),
        ("mysql", MysqlPosition("mariadb-bin.000002", 300, "0-1-270")),
        ("postgres", PostgresPosition(0x16B6C50, 734)),
        ("postgres", PostgresPosition(1 << 40)),
    ],
)
def test_position_is_taken_as_it_is_shown(source_type, position):
    found = request({"to": position.view(), "sink_id": "b"}, source_type)
    assert found.view() == {"to": position.view(), "sink_id": "b"}


WRONG = [
    (None, "mysql", "key `to`"),
    ([], "mysql", "key `to`"),
    ({}, "mysql", "key `to`"),
    ({"to": "earliest", "from": 1}, "mysql", "unknown key 'from'"),
    ({"to": "earliest", "snapshot": 1}, "mysql", "expected true or false"),
    ({"to": "now"}, "mysql", "neither"),
    ({"to": 7}, "mysql", "got int"),
    ({"to": None}, "mysql", "got NoneType"),
    ({"to": "earliest", "sink_id": "c"}, "mysql", "no sink 'c'.*a, b"),
    ({"to": "earliest", "sink_id": 7}, "mysql", "no sink 7"),
    ({"to": {"lsn": "0/1"}}, "mysql", "not a position of a mysql source: missing field `file`.*gtid_set"),
    ({"to": {"file": "binlog.1", "pos": 4}}, "postgres", "not a position of a postgres source: missing field `lsn`"),
    ({"to": {"file": "binlog.1"}}, "mysql", "missing field `pos`"),
    ({"to": {"file": "binlog.1", "pos": True}}, "mysql", "`pos` must be"),
    ({"to": {"file": "binlog.1", "pos": 3}}, "mysql", "`pos` must be"),
    ({"to": {"file": "binlog", "pos": 4}}, "mysql", "`file` must be"),
    ({"to": {"file": "binlog.1", "pos": 4, "gtid_set": "x"}}, "mysql", "GTID"),
    ({"to": {"file": "binlog.1", "pos": 4, "gtid_set": 1}}, "mysql", "`gtid_set` must be"),
    ({"to": {"file": "binlog.1", "pos": 4, "x": 1}}, "mysql", "unknown field `x`"),
    ({"to": {"lsn": "16B6C50"}}, "postgres", "not an LSN"),
    ({"to": {"lsn": 16}}, "postgres", "`lsn` must be a text"),
    ({"to": {"lsn": "0/1", "tx_id": "7"}}, "postgres", "`tx_id` must be"),
]


@pytest.mark.parametrize(("body", "source_type", "message"), WRONG)
def test_wrong_bodies_say_what_is_wrong(body, source_type, message):
    with pytest.raises(SpecError, match=message):
        request(body, source_type)


def test_server_with_gtids_needs_the_set():
    body = {"to": {"file": "binlog.000008", "pos": 4}}
    with pytest.raises(SpecError, match="missing field `gtid_set`"):
        request(body, saved=MYSQL_SAVED)
    assert request(body, saved=MysqlPosition("binlog.000009", 500)).position == MysqlPosition(
        "binlog.000008", 4, flavor=""
    )


def test_one_sink_is_only_set_back():
    ahead = {"file": "binlog.000010", "pos": 4, "gtid_set": f"{UUID}:1-10"}
    back = {"file": "binlog.000009", "pos": 4, "gtid_set": f"{UUID}:1-8"}
    for to in ("latest", ahead):
        with pytest.raises(SpecError, match="can only be set back"):
            request({"to": to, "sink_id": "a"}, saved=MYSQL_SAVED)
        assert request({"to": to}, saved=MYSQL_SAVED).sink_id is None
    for to in ("earliest", back):
        assert request({"to": to, "sink_id": "a"}, saved=MYSQL_SAVED).sink_id == "a"


def test_whether_one_sink_is_set_back_is_told_by_gtids_not_by_files():
    """After a failover the files of the new server have other numbers."""
    saved = MysqlPosition("binlog.000009", 500, f"{UUID}:1-9", server_uuid="u")
    ahead = {"file": "binlog.000002", "pos": 4, "gtid_set": f"{UUID}:1-20"}
    back = {"file": "binlog.000012", "pos": 4, "gtid_set": f"{UUID}:1-8"}
    with pytest.raises(SpecError, match="can only be set back"):
        request({"to": ahead, "sink_id": "a"}, saved=saved)
    assert request({"to": back, "sink_id": "a"}, saved=saved).view() == {"to": back, "sink_id": "a"}


@pytest.mark.parametrize(
    ("source_type", "given_up_at", "written"),
    [
        ("postgres", PostgresPosition(300, 734, "s", 1, 9), {"lsn": "0/12C"}),
        ("mysql", MysqlPosition("b.000009", 500, "0-1-9", "mariadb", "s"), {"file": "b.000009", "pos": 500}),
    ],
)
def test_a_sink_that_was_given_up_keeps_what_waits_however_the_place_is_written(source_type, given_up_at, written):
    mark = SpoolMark(SpoolPlace(1, 8), SpoolPlace(7, 9000), given_up_at, is_detached=True)
    state = DeliveryState(source_id="s", sinks=[], spools={"a": mark})
    reset = request({"to": written, "sink_id": "a"}, source_type, saved=given_up_at)
    attached = state.after_reset("r", "a", reset.position).spools["a"]
    assert (attached.first, attached.end, attached.is_detached) == (mark.first, mark.end, False)


def test_a_lane_that_was_given_up_further_on_keeps_what_nothing_else_has():
    mark = SpoolMark(SpoolPlace(1, 8), SpoolPlace(7, 9000), PostgresPosition(300), is_detached=True)
    acked = SinkCheckpoint("a", PostgresPosition(100), datetime.now(UTC))
    for sinks, to, keeps in (([acked], 200, True), ([], 200, True), ([acked], 100, False), ([acked], 301, False)):
        state = DeliveryState(source_id="s", sinks=sinks, spools={"a": mark})
        assert ("a" in state.after_reset("r", "a", PostgresPosition(to)).spools) == keeps


def test_file_holds_the_newest_request_until_that_one_is_saved(tmp_path):
    path = tmp_path / "reset.json"
    assert read_reset(path) is None
    first, second = ResetRequest(id="1", edge=LogEdge.LATEST), ResetRequest(id="2", position=PostgresPosition(9))
    write_reset(path, first)
    write_reset(path, second)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_reset(path) == second
    remove_reset(path, first)
    assert read_reset(path) == second
    remove_reset(path, second)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{}x", b'{"id": "1", "v": 2, "edge": "latest"}'])
def test_file_that_is_not_understood_stops_the_start(tmp_path, data):
    path = tmp_path / "reset.json"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        read_reset(path)


def test_what_is_set_back_gets_a_new_generation_and_the_rest_keeps_its_own():
    sinks = [SinkCheckpoint(name, PostgresPosition(5), datetime.now(UTC)) for name in ("a", "b")]
    state = DeliveryState(source_id="s", sinks=sinks, generation="i")
    one = state.after_reset("r1", "a")
    assert [sink.sink_id for sink in one.sinks] == ["b"]
    assert [one.generation_of(name) for name in ("a", "b")] == ["r1", "i"]
    everything = one.after_reset("r2", None)
    assert everything.sinks == []
    assert [everything.generation_of(name) for name in ("a", "b")] == ["r2", "r2"]


def test_saved_states_keep_the_names_of_their_fields():
    state = DeliveryState(source_id="s", sinks=[], generation="g", sink_generations={"a": "h"}, members=["a"])
    assert encode_state(state) == (
        b'{"source_id":"s","sinks":[],"v":1,"incarnation":"g","sink_incarnations":{"a":"h"},"reset_id":"","spools":{},'
        b'"members":["a"]}'
    )
    assert decode_delivery_state(encode_state(state)) == state
