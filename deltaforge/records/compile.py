"""Plans from descriptions: a document is described once, as fields and where their values come from; its schema and the
plans of all writers are made of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.records.conversion import Form
from deltaforge.records.facts import fact_of
from deltaforge.records.plan import (
    Bytes,
    Fact,
    FactStep,
    IfTransaction,
    ImageStep,
    PlannedColumn,
    Step,
    Writer,
)
from deltaforge.records.schema import Field, Schema, Type
from deltaforge.records.types import RecordColumn
from deltaforge.records.whole import null_branch, value_branch, written


class Constant(NamedTuple):
    """A value that all rows of a table have. None: null."""

    schema: Schema
    value: Any


class Known(NamedTuple):
    """A fact; where there is none, the schema's default, or null."""

    schema: Schema
    fact: Fact


class Image(NamedTuple):
    """A row image; null where the event has none."""

    schema: Schema
    is_before: bool


class Group(NamedTuple):
    """A struct.

    Attributes:
        schema: Without its fields.
        fields: Names and where their values come from.
        is_of_transaction: Whether it is null where an event has no numbers in a transaction.
    """

    schema: Schema
    fields: tuple[tuple[str, Part], ...]
    is_of_transaction: bool = False


Part = Constant | Known | Image | Group


class NamedColumn(NamedTuple):
    """A column of images.

    Attributes:
        place: Among the columns of the table.
        column: Its name in the table.
        field: Its name in the record.
        record: Its type in the record.
        unavailable: What stands for a value that the log does not hold, as converted; None: what stands for NULL does.
        may_be_nothing: Whether an image may have null where the column has none, for which something stands then, as
            for a date with a zero part, or where nobody may see the value.
    """

    place: int
    column: str
    field: str
    record: RecordColumn
    unavailable: Any = None
    may_be_nothing: bool = False


def schema_of(part: Part) -> Schema:
    """The schema of a part, whole."""
    if not isinstance(part, Group):
        return part.schema
    schema = part.schema
    return Schema(
        type=Type.STRUCT,
        optional=schema.optional,
        name=schema.name,
        version=schema.version,
        doc=schema.doc,
        fields=tuple(Field(name, schema_of(field)) for name, field in part.fields),
    )


def struct_of(name: str, columns: Sequence[NamedColumn], *, optional: bool) -> Schema:
    """The schema of a struct of columns."""
    fields = tuple(Field(column.field, column.record.schema) for column in columns)
    return Schema(type=Type.STRUCT, optional=optional, name=name, fields=fields)


def steps_of(part: Part, writer: Writer) -> tuple[Step, ...]:
    """The steps that write a part, those with equal bytes joined."""
    return tuple(_joined(_steps(part, writer)))


def _steps(part: Part, writer: Writer) -> Iterator[Step]:
    match part:
        case Constant(schema, value):
            yield Bytes(written(writer, schema, value))
        case Known(schema, fact):
            yield _fact_step(schema, fact, writer)
        case Image(schema, is_before):
            begin, end = image_bounds(schema, writer)
            yield ImageStep(is_before, begin, end, _null(schema, writer))
        case Group():
            steps = tuple(_group_steps(part, writer))
            if part.is_of_transaction:
                yield IfTransaction(tuple(_joined(steps)), _null(part.schema, writer))
            else:
                yield from steps


def _group_steps(group: Group, writer: Writer) -> Iterator[Step]:
    is_json = writer == "json"
    yield Bytes(b"{" if is_json else value_branch(_as_struct(group.schema)))
    for number, (name, part) in enumerate(group.fields):
        if is_json:
            yield Bytes((b"," if number else b"") + encode_json(name) + b":")
        yield from _steps(part, writer)
    if is_json:
        yield Bytes(b"}")


def _fact_step(schema: Schema, fact: Fact, writer: Writer) -> FactStep:
    form = Form.TEXT if schema.type is Type.STRING else Form.INTEGER
    prefix = b"" if writer == "json" else value_branch(schema)
    if schema.has_default and schema.default is not None:
        return FactStep(fact, form, prefix, written(writer, schema, schema.default))
    if schema.optional:
        return FactStep(fact, form, prefix, _null(schema, writer))
    nothing = "" if form is Form.TEXT else 0
    return FactStep(fact, form, prefix, written(writer, schema, nothing))


def _null(schema: Schema, writer: Writer) -> bytes:
    return b"null" if writer == "json" else null_branch(schema)


def _as_struct(schema: Schema) -> Schema:
    return Schema(type=Type.STRUCT, optional=schema.optional)


def evaluated(part: Part, event: ChangeEvent, now_ns: int) -> Any:
    """The value of a part without images, for records that belong to no row."""
    match part:
        case Constant(_, value):
            return value
        case Known(schema, fact):
            value = fact_of(event, fact, now_ns)
            if value is None and not schema.optional:
                return "" if schema.type is Type.STRING else 0
            return schema.default if value is None else value
        case Group(_, fields, is_of_transaction):
            if is_of_transaction and fact_of(event, Fact.TOTAL_ORDER) is None:
                return None
            return {name: evaluated(field, event, now_ns) for name, field in fields}
        case Image():
            raise ValueError("an image of no row")


def image_bounds(schema: Schema, writer: Writer) -> tuple[bytes, bytes]:
    """What stands around the columns of an image, or of a key."""
    return (b"{", b"}") if writer == "json" else (value_branch(schema), b"")


Role = Literal["before", "after", "key"]
"""Of columns. Only in an old row does something stand for what is not there: logs may hold its key alone."""


def planned(
    columns: Sequence[NamedColumn], writer: Writer, role: Role, *, defaults_for_null: bool = False
) -> tuple[PlannedColumn, ...]:
    """The columns of images or keys, with the bytes that stand for what is not there.

    Args:
        columns: In the order of the record.
        writer: Of the values.
        role: Of the columns.
        defaults_for_null: Whether NULL is written as the column's default, where it has one.
    """
    return tuple(
        _planned(column, number, writer, role, defaults_for_null=defaults_for_null)
        for number, column in enumerate(columns)
    )


def _planned(column: NamedColumn, number: int, writer: Writer, role: Role, *, defaults_for_null: bool) -> PlannedColumn:
    schema, conversion, fallback = column.record
    name = (b"," if number else b"") + encode_json(column.field) + b":" if writer == "json" else b""
    if schema.optional and fallback is None:
        has_default = defaults_for_null and schema.has_default and schema.default is not None
        stands = null = written(writer, schema, schema.default if has_default else None)
    else:
        stands = written(writer, schema, fallback)
        null = stands if role == "before" or column.may_be_nothing else b""
    missing = stands if role == "before" else b""
    unavailable = b"" if role == "key" else stands
    if column.unavailable is not None and role != "key":
        unavailable = written(writer, schema, column.unavailable)
    prefix = value_branch(schema) if writer == "avro" else b""
    return PlannedColumn(column.place, column.column, conversion, name, prefix, null, missing, unavailable)


def with_old_columns(steps: Sequence[Step], columns: tuple[PlannedColumn, ...]) -> tuple[Step, ...]:
    """Steps whose image of the old row has columns of its own."""
    return tuple(
        step._replace(columns=columns) if isinstance(step, ImageStep) and step.is_before else step for step in steps
    )


def _joined(steps: Sequence[Step] | Iterator[Step]) -> Iterator[Step]:
    """The steps, with bytes that follow each other as one."""
    held = b""
    for step in steps:
        if isinstance(step, Bytes):
            held += step.data
            continue
        if held:
            yield Bytes(held)
            held = b""
        yield step
    if held:
        yield Bytes(held)
