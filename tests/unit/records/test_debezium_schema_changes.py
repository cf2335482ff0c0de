"""Messages of schema changes: the values are those that Debezium 3.6.1 wrote for the same statements."""

import msgspec

from deltaforge.core.event import ChangeEvent, DefinitionChange, Origin, SourceInfo, TableChange
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.records.debezium import DebeziumOptions
from deltaforge.records.debezium_extra import extra_message

TABLE = TableId("d", None, "n")
COLUMNS = (
    (Column("id", "int", nullable=False, extra="auto_increment"), None),
    (Column("e", "enum('a','b')", default="a"), "utf8mb4"),
    (Column("d", "decimal(10,2) unsigned", nullable=False, default="1.5"), None),
    (Column("ts", "timestamp(3)", default="current_timestamp"), None),
    (Column("x", "varchar(10)", default="it's"), "latin1"),
    (Column("s", "set('x','y','z')"), "utf8mb4"),
    (Column("b", "bit(8)", default="b'101'"), None),
    (Column("z", "int(7) unsigned zerofill"), None),
    (Column("f", "double(10,4)"), None),
    (Column("v", "vector(3)"), None),
    (Column("g", "blob"), "binary"),
    (Column("q", "decimal(10)", default="NULL"), None),
)
EXPECTED = [
    ("id", 4, "INT", None, None, None, False, True, None, None),
    ("e", 1, "ENUM", "utf8mb4", 1, None, True, False, "a", ["'a'", "'b'"]),
    ("d", 3, "DECIMAL UNSIGNED", None, 10, 2, False, False, "1.5", None),
    ("ts", 2014, "TIMESTAMP", None, 3, None, True, False, "1970-01-01 00:00:00", None),
    ("x", 12, "VARCHAR", "latin1", 10, None, True, False, "it''s", None),
    ("s", 1, "SET", "utf8mb4", 5, None, True, False, None, ["'x'", "'y'", "'z'"]),
    ("b", -7, "BIT", None, 8, None, True, False, "101", None),
    ("z", 4, "INT UNSIGNED ZEROFILL", None, 7, None, True, False, None, None),
    ("f", 8, "DOUBLE", None, 10, 4, True, False, None, None),
    ("v", 1111, "VECTOR", None, 3, None, True, False, None, None),
    ("g", 2004, "BLOB", None, None, None, True, False, None, None),
    ("q", 3, "DECIMAL", None, 10, 0, True, False, None, None),
]


def message_of(change, **options):
    source = SourceInfo(
        version="v", connector="mysql", name="shop", ts_ms=5, db=change.database, table=change.tables or "",
        server_id=7, gtid="g:1", file="b.1", pos=900,
    )  # fmt: skip
    origin = Origin(ts_us=5000, pos_begin=800, definition=change, notice="definition")
    event = ChangeEvent(before=None, after=None, source=source, op="c", ts_ms=5, origin=origin)
    return extra_message(event, DebeziumOptions(topic_prefix="server", **options), 9_000_000)


def test_a_table_is_described_as_debezium_does():
    columns, charsets = zip(*COLUMNS, strict=True)
    change = TableChange("CREATE", TABLE, TableSchema(TABLE, columns, ("id",)), "utf8mb4", charsets)
    message = message_of(DefinitionChange("d", "n", "create table n (…)", (change,)))
    assert (message.topic, message.key.value) == ("server", {"databaseName": "d"})
    value = message.value.value
    described = value["tableChanges"][0].pop("table")
    found = described.pop("columns")
    assert described == {"defaultCharsetName": "utf8mb4", "primaryKeyColumnNames": ["id"], "comment": None}
    names = ("name", "jdbcType", "typeName", "charsetName", "length", "scale", "optional", "autoIncremented")
    names += ("defaultValueExpression", "enumValues")
    assert [tuple(column[name] for name in names) for column in found] == EXPECTED
    assert all(column["typeExpression"] == column["typeName"] for column in found)
    assert [column["position"] for column in found] == list(range(1, len(EXPECTED) + 1))
    assert value["tableChanges"] == [{"type": "CREATE", "id": '"d"."n"'}]
    source = {name: value["source"][name] for name in ("table", "server_id", "gtid", "file", "pos", "row", "thread")}
    assert source == {
        "table": "n", "server_id": 7, "gtid": "g:1", "file": "b.1", "pos": 800, "row": 0, "thread": None,
    }  # fmt: skip
    assert {name: value[name] for name in ("ts_ms", "databaseName", "schemaName", "ddl")} == {
        "ts_ms": 9, "databaseName": "d", "schemaName": None, "ddl": "create table n (…)",
    }  # fmt: skip


def test_headers_are_those_of_the_connector():
    message = message_of(DefinitionChange("d", "n", "drop table n", ()), has_context_headers=True)
    assert message.headers == {
        "__debezium.context.connectorLogicalName": b"server",
        "__debezium.context.taskId": b"0",
        "__debezium.context.connectorName": b"mysql",
    }
    assert not message_of(DefinitionChange("d", "n", "drop table n", ())).headers


def test_values_have_all_fields_of_their_schema_in_its_order():
    columns, charsets = zip(*COLUMNS, strict=True)
    change = TableChange("ALTER", TABLE, TableSchema(TABLE, columns, ()), None, charsets)
    message = message_of(DefinitionChange("d", "n", "alter table n …", (change, TableChange("DROP", TABLE))))
    check(message.value.schema, message.value.value)
    assert message.value.value["tableChanges"][1] == {"type": "DROP", "id": '"d"."n"', "table": None}
    assert message.key.schema.name == "io.debezium.connector.mysql.SchemaChangeKey"
    assert message.value.schema.name == "io.debezium.connector.mysql.SchemaChangeValue"


def test_a_database_has_no_table():
    value = message_of(DefinitionChange("d", None, "create database d")).value.value
    assert (value["source"]["table"], value["tableChanges"]) == (None, [])
    assert message_of(DefinitionChange("d", "", "alter database d …")).value.value["source"]["table"] == ""


def check(schema, value):
    """Fields and items of a value are those of its schema."""
    if value is None:
        assert schema.optional
    elif schema.fields:
        assert list(value) == [field.name for field in schema.fields]
        for field in schema.fields:
            check(field.schema, value[field.name])
    elif schema.items is not None:
        for item in value:
            check(schema.items, item)
    else:
        msgspec.convert(value, str | int | bool)
