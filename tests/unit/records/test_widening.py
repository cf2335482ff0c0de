"""Rows that have what their definition has not."""

from typing import Any

import msgspec
import pytest

from deltaforge.core.event import ChangeEvent, SourceInfo
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.records.cdc import compile_cdc, naming_unavailable
from deltaforge.records.taking import UnplannedError, messages_of
from deltaforge.records.types import CdcModes
from deltaforge.records.widening import widened

TABLE = TableSchema(
    TableId("app", "public", "t"),
    (
        Column("id", "integer", nullable=False),
        Column("mood", "mood", nullable=False, underlying="enum('it''s','b')"),
        Column("moods", "mood[]", underlying="enum('it''s','b')[]"),
    ),
    ("id",),
)


def event(after: Any, before: Any = None, **source: Any) -> ChangeEvent:
    fields = {"version": "v", "connector": "postgresql", "name": "p", "ts_ms": 1, "db": "app", "schema": "public"}
    info = SourceInfo(**{**fields, "table": "t", **source})
    return ChangeEvent(before=before, after=after, source=info, op="u", ts_ms=1, schema=TABLE)


def test_a_definition_is_widened_by_what_its_row_has_and_no_more() -> None:
    assert widened(event({"id": 1, "mood": "b", "moods": ["it's", None]})) is None
    assert widened(event({"id": 1})) is None
    row = {"id": 1, "mood": None, "moods": [["b", "c'd\\"], ["e"]]}
    wider, again = (widened(event(row, {"id": 1, "mood": "old", "moods": None})) for _ in range(2))
    assert wider is not None
    assert again is not None
    assert wider.schema is again.schema  # by which plans are found
    assert wider.schema is not None
    assert [(column.nullable, column.underlying) for column in wider.schema.columns] == [
        (False, None), (True, "enum('it''s','b','old')"), (True, "enum('it''s','b','c''d\\\\','e')[]"),
    ]  # fmt: skip
    assert widened(wider) is None


def test_a_row_without_what_was_its_key_has_none() -> None:
    for change in (event({"id": None, "mood": "b", "moods": None}), event(None, {"id": None, "mood": "b"})):
        wider = widened(change)
        assert wider is not None
        assert wider.schema is not None
        assert wider.schema.columns[0].nullable
        compiled = compile_cdc(wider, wider.schema, CdcModes())
        with pytest.raises(UnplannedError):
            messages_of(compiled.plan, wider)
        (message,) = messages_of(naming_unavailable(compiled, wider, wider.schema, CdcModes()), wider)
        assert message.key is None
        assert message.value is not None
        assert message.value.endswith(b"\x00")  # nothing is unavailable
    assert widened(event(None, {"id": 1, "mood": None})) is None  # the log may not hold it


def test_a_date_of_mysql_that_is_none_is_no_null() -> None:
    dates = TableSchema(TableId("app", None, "t"), (Column("d", "date", nullable=False),))
    change = msgspec.structs.replace(event({"d": None}, connector="mysql"), schema=dates)
    assert widened(change) is None
    assert widened(msgspec.structs.replace(change, source=event(None).source)) is not None


def test_a_label_of_later_is_one_of_avros_enum() -> None:
    table = TableSchema(TABLE.table, (TABLE.columns[0], Column("mood", "mood", underlying="enum('a','b')")), ("id",))
    change = widened(msgspec.structs.replace(event({"id": 1, "mood": "c"}), schema=table))
    assert change is not None
    assert change.schema is not None
    compiled = compile_cdc(change, change.schema, CdcModes("string", "enum"))
    (message,) = messages_of(compiled.plan, change)
    assert message.value is not None
    assert message.value[:5] == b"\x00\x02\x02\x02\x04"  # no old row; a new one, its id, and of a mood the third
