"""When the kernel may read on by itself although something is registered ahead."""

import pytest

from deltaforge.core.positions import MysqlPosition
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.maker import EventMaker
from deltaforge.sources.mysql.server import ServerFacts
from deltaforge.sources.mysql.tables import Tables
from tests.schemas import definition_of, memory_registry, point_at

FACTS = ServerFacts("mysql", "9.0", "a", has_gtids=True, has_full_metadata=True)


@pytest.fixture
def tables(tmp_path):
    config = MysqlSourceConfig(id="s", dsn="mysql://u:p@localhost/shop", tables=["shop.*"])
    registry = memory_registry()
    registry.record([definition_of("a")], point_at(100, file=1))
    registry.record([definition_of("b")], point_at(500, file=2))
    found = Tables(config, SchemaHistory(tmp_path / "h", lambda *_: True), EventMaker("p", "acme"), registry)
    found.use(FACTS)
    return found


def event_ending_at(pos):
    return bytes(13) + pos.to_bytes(4, "little") + bytes(2)


@pytest.mark.parametrize(
    ("file", "here", "last", "is_safe"),
    [
        ("b.000001", 200, 900, True),  # the registration is in a later file: a rotation comes before it
        ("b.000001", 200, 4, True),
        ("b.000002", 200, 499, True),
        ("b.000002", 200, 500, False),
        ("b.000002", 200, 100, False),  # the last event is in a third file
        ("b.000002", 200, 0, False),  # a heartbeat or a rotation that says nothing of where it stands
        ("b.000003", 4, 100, False),
    ],
)
def test_whole_transactions_are_scanned_up_to_a_registration_ahead(tables, file, here, last, is_safe):
    tables.look_ahead(MysqlPosition("b.000001", 150))
    assert tables.is_safe(file, here, event_ending_at(last)) is is_safe


def test_nothing_ahead_is_always_safe(tables):
    tables.look_ahead(MysqlPosition("b.000002", 500))
    assert tables.is_safe("b.000009", 4, event_ending_at(4))
