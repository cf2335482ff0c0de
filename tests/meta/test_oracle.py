"""The judge of what a saved position stands for, against positions written by hand."""

import pytest

from deltaforge.core.positions import MysqlPosition, PostgresPosition
from tests.oracle import has

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "3e11fa47-71ca-11e1-9e33-c80aa9429563"
SETS = MysqlPosition("b.000002", 500, f"{UUID}:1-20:25:web:3,{OTHER}:7", "mysql", "s")
DOMAINS = MysqlPosition("b.000002", 500, "0-1-9,1-2-3", "mariadb", "s")


@pytest.mark.parametrize(
    ("position", "source", "is_in"),
    [
        (SETS, {"gtid": f"{UUID}:20"}, True),
        (SETS, {"gtid": f"{UUID}:21"}, False),
        (SETS, {"gtid": f"{UUID.upper()}:25"}, True),
        (SETS, {"gtid": f"{UUID}:web:3"}, True),
        (SETS, {"gtid": f"{UUID}:3"}, True),
        (SETS, {"gtid": f"{UUID}:web:4"}, False),
        (SETS, {"gtid": f"{OTHER}:3"}, False),
        (SETS, {"gtid": f"{OTHER}:7"}, True),
        (DOMAINS, {"gtid": "0-5-9"}, True),
        (DOMAINS, {"gtid": "0-1-10"}, False),
        (DOMAINS, {"gtid": "2-1-1"}, False),
        (MysqlPosition("b.000002", 500), {"file": "b.000002", "pos": 500}, True),
        (MysqlPosition("b.000002", 500), {"file": "b.000002", "pos": 501}, False),
        (MysqlPosition("b.000002", 500), {"file": "b.000001", "pos": 900}, True),
        (PostgresPosition(0x1_0000_0010), {"lsn": "1/0000000F"}, True),
        (PostgresPosition(0x1_0000_0010), {"lsn": "1/10"}, False),
        (PostgresPosition(0x1_0000_0010), {"lsn": "0/FFFFFFFF"}, True),
    ],
)
def test_has(position, source, is_in):
    assert has(position, source) is is_in
