"""Random tables and rows as ``deltaforge.cdc`` records: the bytes are those that fastavro writes for the converted
values, and fastavro reads them back.
"""

import base64
import io
import json
from datetime import date
from decimal import Decimal

import fastavro
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, SourceInfo, Transaction
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.records.avro_schema import avro_field_names, avro_schema
from deltaforge.records.cdc import compile_cdc, naming_unavailable
from deltaforge.records.compiled import schema_prefix, with_schema_ids
from deltaforge.records.taking import UnplannedError, key_of, value_of
from deltaforge.records.types import CdcModes, cdc_column
from deltaforge.records.values import converted

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
RAW = st.binary(max_size=9).map(lambda raw: {"_base64": base64.b64encode(raw).decode()})
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31)).map(date.isoformat)


def fixed(digits, scale):
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda n: str(Decimal(n).scaleb(-scale)))


MYSQL = {
    "tinyint": st.integers(-128, 127), "int unsigned": st.integers(0, 2**32 - 1), "bigint": st.integers(-(2**63), 2**63 - 1),
    "bigint unsigned": st.integers(0, 2**64 - 1), "decimal(10,2)": fixed(10, 2), "decimal(65,30)": fixed(65, 30),
    "double": st.floats(allow_nan=False, allow_infinity=False), "varchar(20)": TEXTS, "blob": RAW, "date": DATES,
    "json": st.recursive(st.booleans() | TEXTS, lambda x: st.lists(st.none() | x, max_size=3), max_leaves=4),
    "enum('a','b-c')": st.sampled_from(["a", "b-c"]), "enum('a','b')": st.sampled_from(["a", "b"]),
}  # fmt: skip
POSTGRES = {
    "smallint": st.integers(-(2**15), 2**15 - 1), "bigint": st.integers(-(2**63), 2**63 - 1), "text": TEXTS,
    "boolean": st.booleans(), "numeric": fixed(30, 12), "numeric(12,4)": fixed(12, 4), "bytea": RAW, "date": DATES,
    "double precision": st.floats(allow_nan=False), "text[]": st.lists(st.none() | TEXTS, max_size=3),
    "hstore": st.dictionaries(TEXTS, st.none() | TEXTS, max_size=3),
}  # fmt: skip
NAMES = st.sampled_from(["id", "order-id", "order_id", "größe", "2nd", "a.b", "x", "y"])
MODES = st.builds(
    CdcModes, unsigned_bigint_mode=st.just("string"), enum_mode=st.sampled_from(["string", "enum"]),
    naive_timestamp_mode=st.sampled_from(["string", "timestamp"]),
)  # fmt: skip


@st.composite
def rows(draw):
    """A table and an event of it."""
    connector, types = draw(st.sampled_from([("mysql", MYSQL), ("postgresql", POSTGRES)]))
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    columns = tuple(Column(n, draw(st.sampled_from(sorted(types))), nullable=draw(st.booleans())) for n in names)
    schema = None if connector == "mysql" else draw(st.sampled_from(["public", "my schema"]))
    keyed = [c.name for c in columns if not c.nullable and "[" not in c.type and c.type not in ("json", "hstore")]
    table = TableSchema(TableId("shop", schema, "a-table"), columns, tuple(keyed[:2]))

    def image():
        def value(column):
            values = types[column.type]
            return draw(st.none() | values if column.nullable else values)

        return {column.name: value(column) for column in columns}

    before = image() if draw(st.booleans()) else None
    if before is not None and draw(st.booleans()):
        before = {name: value if name in table.primary_key else None for name, value in before.items()}
    after = image()
    for column in columns:
        if connector == "postgresql" and column.name not in table.primary_key and draw(st.integers(0, 5)) == 0:
            after[column.name] = UNCHANGED_TOAST
    position = {"server_id": 4294967295, "file": "b.1", "pos": 2**40, "row": 3} if connector == "mysql" else {
        "lsn": "0/16B6C50", "txId": 2**33,
    }  # fmt: skip
    source = SourceInfo(
        version="deltaforge-1", connector=connector, name="p", ts_ms=1_700_000_000_000, db="shop", table="a-table",
        **({"schema": schema} if schema else {}), **position,
    )  # fmt: skip
    event = ChangeEvent(
        before=before, after=after, source=source, op="u", ts_ms=source.ts_ms, schema=table,
        transaction=draw(st.none() | st.just(Transaction("77"))), event_id=draw(st.none() | st.just("e-1")),
        schema_version=table.fingerprint(),
    )  # fmt: skip
    return table, event


def tree(event, table, modes):
    """The event as fastavro wants it: the converted values under the names of the record."""
    fields = avro_field_names([column.name for column in table.columns])
    mapped = [cdc_column(event.source.connector, column, modes) for column in table.columns]
    missing = []

    def image(values, *, is_after):
        if values is None:
            return None
        found = {}
        for column, field, to in zip(table.columns, fields, mapped, strict=True):
            value = values[column.name]
            if value == UNCHANGED_TOAST:
                missing.append(column.name)
                found[field] = to.fallback
            else:
                found[field] = None if value is None else converted(to.conversion, value)
                if to.schema.name == "enum" and found[field] is not None:
                    found[field] = value  # fastavro takes the symbol for its place
        return found

    source = event.source
    position = {
        name: getattr(source, name) or None for name in ("server_id", "file", "pos", "gtid", "row", "lsn", "xmin")
    }
    return {
        "before": image(event.before, is_after=False), "after": image(event.after, is_after=True),
        "source": {
            "version": source.version, "connector": source.connector, "name": source.name, "ts_ms": source.ts_ms,
            "db": source.db, "schema": source.schema or None, "table": source.table, "snapshot": None,
            "position": position | {"tx_id": source.txId or None},
        },
        "op": event.op, "ts_ms": event.ts_ms, "event_id": event.event_id, "schema_version": event.schema_version,
        "transaction": None if event.transaction is None else {"id": "77", "total_order": None, "data_collection_order": None},
        "unavailable": missing or None,
    }  # fmt: skip


@given(rows(), MODES)
def test_values_are_what_fastavro_writes_and_reads_back(row, modes):
    table, event = row
    compiled = compile_cdc(event, table, modes)
    schema = fastavro.parse_schema(json.loads(avro_schema(compiled.value, "plain")))
    expected, out = tree(event, table, modes), io.BytesIO()
    fastavro.schemaless_writer(out, schema, expected)
    try:
        value = value_of(compiled.plan, event)
    except UnplannedError:
        assert expected["unavailable"]
        value = value_of(naming_unavailable(compiled, event, table, modes), event)
    assert value == out.getvalue()
    prefixed = with_schema_ids(compiled.plan, 77, None)
    assert prefixed.value[0].data == schema_prefix(77) == b"\x00\x00\x00\x00\x4d"
    read = fastavro.schemaless_reader(io.BytesIO(value), schema)
    assert read["source"]["position"] is not None
    assert read["unavailable"] == expected["unavailable"]
    fields = avro_field_names([column.name for column in table.columns])
    for column, field in zip(table.columns, fields, strict=True):
        given, got = event.after[column.name], read["after"][field]
        if "decimal" in column.type or column.type == "numeric(12,4)":
            assert given is None or given == UNCHANGED_TOAST or Decimal(given) == got
        elif column.type in ("varchar(20)", "text") and given != UNCHANGED_TOAST:
            assert given == got


@given(rows(), MODES)
def test_keys_are_what_fastavro_writes(row, modes):
    table, event = row
    compiled = compile_cdc(event, table, modes)
    assert (compiled.key is None) == (not table.primary_key)
    key = key_of(compiled.plan, event.key() or {})
    if compiled.key is None:
        assert key is None
        return
    schema = fastavro.parse_schema(json.loads(avro_schema(compiled.key, "plain")))
    types = {column.name: column for column in table.columns}
    columns = [(name, cdc_column(event.source.connector, types[name], modes)) for name in table.primary_key]
    values = [
        event.after[name] if to.schema.name == "enum" else converted(to.conversion, event.after[name])
        for name, to in columns
    ]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, dict(zip(avro_field_names(table.primary_key), values, strict=True)))
    assert key == out.getvalue()


def test_tables_of_one_name_in_two_schemas_have_records_of_their_own():
    names = set()
    for schema in ("a", "b"):
        table = TableSchema(TableId("shop", schema, "t"), (Column("id", "integer", nullable=False),), ("id",))
        source = SourceInfo(
            version="1", connector="postgresql", name="p", ts_ms=0, db="shop", schema=schema, table="t"
        )  # fmt: skip
        event = ChangeEvent(before=None, after={"id": 1}, source=source, op="c", ts_ms=0, schema=table)
        compiled = compile_cdc(event, table, CdcModes())
        names |= {compiled.value.name, compiled.key.name}
    assert names == {
        f"deltaforge.cdc.postgresql.{schema}.t.{record}" for schema in ("a", "b") for record in ("Envelope", "Key")
    }  # fmt: skip
    assert msgspec.structs.asdict(source)["schema"] == "b"
