import pytest

from deltaforge.core.errors import CheckpointError
from deltaforge.core.lsn import lsn_from_text, text_from_lsn
from deltaforge.core.position import (
    MysqlPosition,
    PostgresPosition,
    bytes_between,
    decode_position,
    encode_position,
    lies_before,
    log_order,
)


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
    assert [p.file + str(p.pos) for p in sorted(positions, key=log_order)] == [
        "bin.9999994",
        "bin.9999999",
        "bin.10000004",
    ]


A, B = "uuid-a", "uuid-b"


@pytest.mark.parametrize(
    ("position", "other", "behind", "count"),
    [
        (MysqlPosition("b.000009", 100, server_uuid=A), MysqlPosition("b.000009", 150, server_uuid=A), True, 50),
        (MysqlPosition("b.000009", 150, server_uuid=A), MysqlPosition("b.000009", 100, server_uuid=A), False, 0),
        (MysqlPosition("b.999999", 100, server_uuid=A), MysqlPosition("b.1000000", 4, server_uuid=A), True, None),
        (MysqlPosition("b.000009", 100, server_uuid=A), MysqlPosition("b.000009", 150, server_uuid=B), None, None),
        (MysqlPosition("b.000009", 100), MysqlPosition("b.000009", 150), None, None),
        (PostgresPosition(10, 1, "s"), PostgresPosition(25, None, "s"), True, 15),
        (PostgresPosition(25, 1, "s"), PostgresPosition(25, 2, "s"), False, 0),
        (PostgresPosition(10, 1, "s"), PostgresPosition(25, 1, "other"), None, None),
        (PostgresPosition(10), MysqlPosition("b.1", 4), None, None),
    ],
)
def test_only_positions_of_one_log_are_compared(position, other, behind, count):
    assert lies_before(position, other) is behind
    assert bytes_between(position, other) == count
