"""What is known of captured tables without asking the server, and when it has to be asked."""

import pytest

from deltaforge.core.errors import SchemaError, SourceError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.sources.mysql.catalog import CatalogNeeded, TableInCatalog
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.definitions import TableDefinition
from deltaforge.sources.mysql.event_mapper import EventMapper
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.server import ServerSettings
from deltaforge.sources.mysql.tables import Tables
from tests.schemas import definition_of, memory_registry, point_at

SERVER = ServerSettings("mysql", "9.0", "a", has_gtids=True, has_full_metadata=True)


@pytest.fixture
def tables(tmp_path):
    config = MysqlSourceConfig(id="s", dsn="mysql://u:p@localhost/shop", tables=["shop.*"])
    registry = memory_registry()
    registry.record([definition_of("a")], point_at(100, file=1))
    registry.record([definition_of("b")], point_at(500, file=2))
    found = Tables(config, SchemaHistory(tmp_path / "h", lambda *_: True), EventMapper("p", "acme"), registry)
    found.use(SERVER)
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


INT = ColumnType(code=Code.LONG, unsigned=False)
HERE = MysqlPosition("b.000003", 900)


def map_of(table, names):
    return TableMap(7, "shop", table, (INT,), names, (0,) if names else None, 0, f"map of {table}".encode())


def in_catalog(table, declared="int"):
    schema = TableSchema(TableId("shop", None, table), (Column("id", declared, nullable=False),), ("id",))
    return TableInCatalog(TableDefinition(schema, (INT,)))


def test_a_table_that_is_new_is_looked_up_once_and_not_by_who_decodes(tables):
    table_map = map_of("new", ("id",))
    for _ in range(2):
        with pytest.raises(CatalogNeeded):
            tables.captured(table_map, HERE)
        assert (tables.misses, tables.hits, tables.by_map, tables._registry.versions(("shop", "new"))) == (0, 0, {}, [])
    found = tables.captured(table_map, HERE, in_catalog("new", "int(11)"))
    assert [column.type for column in found.schema.columns] == ["int(11)"]
    assert tables.captured(table_map, HERE) is found
    assert (tables.misses, tables.hits) == (1, 1)


def test_rows_of_a_table_that_cannot_be_looked_up_have_the_types_of_the_log(tables):
    error = SourceError("nobody answers", kind="connect")
    found = tables.captured(map_of("new", ("id",)), HERE, TableInCatalog(error=error))
    assert [column.type for column in found.schema.columns] == ["int"]


def test_a_definition_is_taken_over_only_of_a_catalog_that_was_read(tables):
    table_map, take_overs = map_of("old", None), tables._history.take_overs
    with pytest.raises(SchemaError, match="not known"):
        tables.captured(table_map, HERE)
    take_overs.ask("shop", "old")
    with pytest.raises(CatalogNeeded):
        tables.captured(table_map, HERE)
    with pytest.raises(SourceError, match="nobody answers"):
        tables.captured(table_map, HERE, TableInCatalog(error=SourceError("nobody answers", kind="connect")))
    with pytest.raises(SchemaError, match="not there"):
        tables.captured(table_map, HERE, TableInCatalog())
    assert take_overs.asked() == [("shop", "old")]
    assert tables.captured(table_map, HERE, in_catalog("old")).name == "shop.old"
    assert (take_overs.asked(), tables.taken_over) == ([], 1)
