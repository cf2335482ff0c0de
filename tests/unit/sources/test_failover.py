import pytest

from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.schema.versions import Definition
from deltaforge.sources.failover import deltas_of, lost
from deltaforge.sources.loader import Loaded
from deltaforge.sources.mysql.catalog import Catalog
from deltaforge.sources.mysql.definitions import TableDefinition
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.postgres.failover import switches_of
from tests.schemas import memory_registry, point_at

T = ("shop", "t")


def definition(*columns, key=("id",)):
    schema = TableSchema(TableId("shop", None, "t"), tuple(Column(name, text) for name, text in columns), key)
    return Definition(schema, schema.fingerprint(), schema.fingerprint())


BEFORE = definition(("id", "int"), ("v", "text"))


def found(live, *, errors=(), present_before=None):
    registry = memory_registry()
    registry.record([BEFORE], point_at(1))
    loaded = Loaded({T: live} if live else {}, dict.fromkeys(errors, "why"), point_at(2, server="b"))
    deltas = deltas_of(registry, registry.tables, loaded, str.lower, present_before=present_before)
    return [(delta.kind, delta.column) for delta in deltas]


@pytest.mark.parametrize(
    ("live", "deltas"),
    [
        (BEFORE, []),
        (definition(("id", "INT"), ("v", "text")), []),
        (definition(("id", "int"), ("v", "text"), ("w", "int")), [("column_added", "w")]),
        (definition(("id", "int")), [("column_dropped", "v")]),
        (definition(("id", "bigint"), ("v", "text")), [("type_changed", "id")]),
        (definition(("id", "int"), ("v", "text"), key=("id", "v")), [("primary_key_changed", "")]),
        (None, [("table_dropped", "")]),
    ],
)
def test_each_difference_has_its_kind(live, deltas):
    assert found(live) == deltas


def test_what_cannot_be_read_or_was_gone_before_is_no_difference():
    assert found(None, errors=[T]) == []
    assert found(None, present_before=set()) == []
    assert found(None, present_before={T}) == [("table_dropped", "")]


def test_message_of_a_lost_position_is_that_of_the_contract():
    assert lost("why", is_failover=True).message == "position lost after failover: why. Re-snapshot required."
    assert lost("why", is_failover=False).message == "position lost: why. Re-snapshot required."


def test_timeline_history_names_each_switch():
    history = '1\t0/3000148\tno recovery target specified\n\n# a comment\n2\tA/10\tat "x"\n'
    assert switches_of(history) == {1: 0x3000148, 2: 0xA00000010}


def table(*names):
    schema = TableSchema(TableId("shop", None, "t"), tuple(Column(name, "int") for name in names))
    return Catalog({T: TableDefinition(schema, (), "utf8mb4")}, {}, {})


def test_history_at_a_new_server_begins_with_what_was_valid_where_reading_goes_on(tmp_path):
    path = tmp_path / "history.jsonl"
    history = SchemaHistory(path, lambda *_: True)
    history.arrive("a", None)
    history.record(table("old"), MysqlPosition("b.7", 4))
    history.record(table("old", "later"), MysqlPosition("b.9", 4))
    for reopened in (history, SchemaHistory(path, lambda *_: True)):
        reopened.arrive("b", MysqlPosition("b.8", 4, "", "mysql", "a"))
        assert names(reopened, MysqlPosition("b.1", 4)) == ["old"]
        reopened.record(table("new"), MysqlPosition("b.2", 4))
        assert names(reopened, MysqlPosition("b.2", 9)) == ["new"]
    again = SchemaHistory(path, lambda *_: True)
    again.arrive("b", MysqlPosition("b.2", 9, "", "mysql", "b"))
    assert names(again, MysqlPosition("b.2", 9)) == ["new"]


def names(history, position):
    return [column.name for column in history.definition(*T, position).schema.columns]
