import pytest

from deltaforge.core.errors import CheckpointError
from deltaforge.core.event import SourceInfo
from deltaforge.core.positions import (
    POSITION_TYPES,
    LogEdge,
    MysqlPosition,
    PostgresPosition,
    decode_position,
    encode_position,
    is_same_place,
)
from deltaforge.core.positions.postgres import lsn_from_text, text_from_lsn


@pytest.mark.parametrize("position", [MysqlPosition("b.000009", 4, "u:1-3"), PostgresPosition(2**63, 7)])
def test_position_survives_saving(position):
    assert decode_position(encode_position(position)) == position


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"mysql"}', b'{"type":"oracle","scn":1}', b"\xff"])
def test_unreadable_position_is_a_clear_error(data):
    with pytest.raises(CheckpointError, match="saved position cannot be read"):
        decode_position(data)


def test_views_have_the_keys_of_the_contract():
    assert MysqlPosition("b.1", 4).view() == {"file": "b.1", "pos": 4}
    assert MysqlPosition("b.1", 4, "u:1").view() == {"file": "b.1", "pos": 4, "gtid_set": "u:1"}
    assert PostgresPosition(0x16B6C50, 771).view() == {"lsn": "0/16B6C50", "tx_id": 771}


def test_lsn_text_is_that_of_the_server():
    assert text_from_lsn(0x1_0000_00AB) == "1/AB"
    assert lsn_from_text("ffffffff/FFFFFFFF") == 2**64 - 1
    for bad in ("", "1", "1/", "/1", "123456789/0", "1/2/3", "x/1"):
        with pytest.raises(CheckpointError):
            lsn_from_text(bad)


def test_binlog_files_are_ordered_by_number_not_by_text():
    positions = [MysqlPosition("bin.1000000", 4), MysqlPosition("bin.999999", 9), MysqlPosition("bin.999999", 4)]
    assert [p.file + str(p.pos) for p in sorted(positions, key=lambda position: position.order)] == [
        "bin.9999994",
        "bin.9999999",
        "bin.10000004",
    ]


U = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
V = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
A, B = "uuid-a", "uuid-b"


def mysql(file, pos, gtids="", server=""):
    return MysqlPosition(file, pos, gtids, server_uuid=server)


def mariadb(file, pos, gtids, server=""):
    return MysqlPosition(file, pos, gtids, "mariadb", server)


@pytest.mark.parametrize(
    ("position", "other", "behind", "count"),
    [
        (mysql("b.000009", 100, "", A), mysql("b.000009", 150, "", A), True, 50),
        (mysql("b.000009", 150, "", A), mysql("b.000009", 100, "", A), False, 0),
        (mysql("b.999999", 100, "", A), mysql("b.1000000", 4, "", A), True, None),
        # Two servers that share nothing: nobody can tell. One that is not named is the one that is read.
        (mysql("b.000009", 100, "", A), mysql("b.000009", 150, "", B), None, None),
        (mysql("b.000009", 100), mysql("b.000009", 150, "", A), True, 50),
        # GTIDs tell it on any server, whatever the files are.
        (mysql("b.9", 900, f"{U}:1-5", A), mysql("c.1", 4, f"{U}:1-6", B), True, None),
        (mysql("c.1", 4, f"{U}:1-6", B), mysql("b.9", 900, f"{U}:1-5", A), False, None),
        (mysql("b.3", 4, f"{U}:1-9", A), mysql("b.3", 500, f"{U}:1-5", A), False, 496),
        (mysql("b.9", 900, f"{U}:1-5:7"), mysql("b.9", 4, f"{U}:1-6"), True, 0),
        (mysql("b.9", 900, f"{U}:1-6"), mysql("b.9", 4, f"{U}:1-6,{V}:1"), True, 0),
        (mysql("b.9", 4, f"{U}:1-6,{V}:1"), mysql("b.9", 900, f"{U}:1-7"), True, 896),
        (mysql("b.9", 900, f"{U}:1-7"), mysql("b.9", 900, f"{U}:1-6,{V}:1"), True, 0),
        (mysql("b.9", 100, "", A), mysql("b.9", 900, f"{U}:1", A), True, 800),
        (mariadb("b.9", 4, "0-1-5", A), mariadb("b.1", 4, "0-2-6", B), True, None),
        (mariadb("b.1", 4, "0-2-6"), mariadb("b.9", 4, "0-1-5"), False, None),
        (mariadb("b.1", 4, "0-2-6"), mariadb("b.1", 4, "0-2-6,1-1-1"), True, 0),
        (mysql("b.1", 4, f"{U}:1"), mariadb("b.1", 4, "0-1-5"), None, 0),
        (PostgresPosition(10, 1, "s"), PostgresPosition(25, None, "s"), True, 15),
        (PostgresPosition(25, 1, "s"), PostgresPosition(25, 2, "s"), False, 0),
        (PostgresPosition(10, 1, "s", 1), PostgresPosition(25, 1, "s", 2), True, 15),
        (PostgresPosition(10, 1, "s"), PostgresPosition(25, 1, "other"), None, None),
        (PostgresPosition(10), PostgresPosition(25, 1, "s"), True, 15),
        (PostgresPosition(10), MysqlPosition("b.1", 4), None, None),
        (MysqlPosition("b.1", 4), PostgresPosition(10), None, None),
    ],
)
def test_what_is_behind_what_and_how_far(position, other, behind, count):
    assert position.is_behind(other) is behind
    assert position.bytes_to(other) == count


def test_one_place_may_be_written_in_several_ways():
    same = [
        (PostgresPosition(9, 7, "s", 2, 1000), PostgresPosition(9)),
        (mysql("b.9", 900, f"{U}:1-6", A), mysql("c.1", 4, f"{U}:1-3:4-6")),
        (mariadb("b.9", 900, "0-1-7", A), MysqlPosition("b.9", 900, flavor="")),
    ]
    other = [
        (PostgresPosition(9, 7, "s"), PostgresPosition(10, 7)),
        (PostgresPosition(9, 7, "s"), PostgresPosition(9, 7, "t")),
        (mysql("b.9", 900, f"{U}:1-6", A), mysql("b.9", 900, f"{U}:1-7")),
        (mysql("b.9", 900, "", A), mysql("b.9", 900, "", B)),
    ]
    assert all(is_same_place(*pair) and is_same_place(*pair[::-1]) for pair in same)
    assert not any(is_same_place(*pair) or is_same_place(*pair[::-1]) for pair in other)


def source(**keys):
    return SourceInfo(version="v", connector="c", name="p", ts_ms=1, db="d", table="t", **keys)


def test_rows_that_each_kind_of_position_covers():
    postgres = PostgresPosition(100)
    assert postgres.covers(source(lsn="0/63"))
    assert not postgres.covers(source(lsn="0/64"))
    assert not postgres.covers(source())
    gtid = MysqlPosition("b.2", 10, f"{U}:1-5")
    assert gtid.covers(source(gtid=f"{U}:5", file="b.9", pos=1))
    assert not gtid.covers(source(gtid=f"{U}:6", file="b.1", pos=1))
    file = MysqlPosition("b.10", 10)
    assert file.covers(source(file="b.9", pos=99))
    assert not file.covers(source(file="b.10", pos=11))
    assert not file.covers(source())


SAVED = {
    b'{"type":"mysql","file":"b.000009","pos":4,"gtid_set":"u:1-3","flavor":"mariadb","server_uuid":"x"}':
        MysqlPosition("b.000009", 4, "u:1-3", "mariadb", "x"),
    b'{"type":"postgres","lsn":9223372036854775808,"tx_id":7,"system_id":"s","timeline":2,"commit_ms":5}':
        PostgresPosition(2**63, 7, "s", 2, 5),
}  # fmt: skip


def test_saved_bytes_stay_what_they_are():
    assert {encode_position(position): position for position in SAVED.values()} == SAVED
    assert all(decode_position(data) == position for data, position in SAVED.items())


def test_every_kind_is_complete():
    assert set(POSITION_TYPES) == {"mysql", "postgres"}
    for kind in POSITION_TYPES.values():
        assert set(kind.BEGINS) == {None, *LogEdge}
        assert kind.SHAPE
