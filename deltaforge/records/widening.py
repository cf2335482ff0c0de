"""Rows that have what the definition that they are read with has not: NULL where it says NOT NULL, a label of an enum.

PostgreSQL's log says neither of the two: a definition has them from the catalog, which was asked before the row was
written, or is asked later. The row is right: its message has a schema that is wider than the definition by what the row
has. That depends on row and definition alone, and so is the same when the row is read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from deltaforge.core.event import ChangeEvent, RowImage
from deltaforge.core.table import Column, TableSchema
from deltaforge.records.types.declared import declared

_DATES = ("date", "timestamp")
"""MySQL's types whose values with a zero part are no dates, and are null without being NULL."""

_Missing = tuple[tuple[str, tuple[str, ...]], ...]
"""Columns that may be null, and without labels; or the labels that their enums have beside those of the definition."""


def widened(event: ChangeEvent) -> ChangeEvent | None:
    """The event as a row of a definition that has what its row has; None: its own does, as far as we know."""
    schema = event.schema
    if schema is None:
        return None
    missing = tuple(_missing(event, schema))
    return msgspec.structs.replace(event, schema=_wider(schema, missing)) if missing else None


def _missing(event: ChangeEvent, schema: TableSchema) -> Iterator[tuple[str, tuple[str, ...]]]:
    newest, is_mysql = event.after or event.before or {}, event.source.connector != "postgresql"
    for column in schema.columns:
        name = column.name
        is_held = event.after is not None or name in schema.primary_key  # of an old row the log may hold its key alone
        is_null = not column.nullable and is_held and name in newest and newest[name] is None
        if is_null and not (is_mysql and column.type.lower().startswith(_DATES)):
            yield name, ()
        if column.underlying is not None and column.underlying.startswith("enum("):
            labels = dict.fromkeys(_labels(event.before, name)) | dict.fromkeys(_labels(event.after, name))
            for label in _known(column):
                labels.pop(label, None)
            if labels:
                yield name, tuple(labels)


def _labels(image: RowImage | None, name: str) -> Iterator[str]:
    """The labels in a column of an image."""
    values: list[Any] = [] if image is None else [image.get(name)]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values.extend(reversed(value))
        elif isinstance(value, str):
            yield value


def _known(column: Column) -> tuple[str, ...]:
    type_ = declared(column.underlying or "")
    return (type_.items or type_).labels


@lru_cache(maxsize=1024)
def _wider(schema: TableSchema, missing: _Missing) -> TableSchema:
    """One object for equal arguments: plans are found by it."""
    columns = {column.name: column for column in schema.columns}
    for name, labels in missing:
        column = columns[name]
        columns[name] = _with_labels(column, labels) if labels else msgspec.structs.replace(column, nullable=True)
    return msgspec.structs.replace(schema, columns=tuple(columns.values()))


def _with_labels(column: Column, labels: tuple[str, ...]) -> Column:
    quoted = (label.replace("\\", "\\\\").replace("'", "''") for label in (*_known(column), *labels))
    arguments = ",".join(f"'{label}'" for label in quoted)
    _, _, rest = (column.underlying or "").rpartition(")")
    return msgspec.structs.replace(column, underlying=f"enum({arguments}){rest}")
