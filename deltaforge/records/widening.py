"""Rows that have NULL where the definition that they are read with has none.

A log says nothing of NOT NULL: a definition has it from the catalog, which is asked later than the row was written, or
was asked before. The row is right: its message has a schema that is wider than the definition by the columns in
question. That depends on row and definition alone, and so is the same when the row is read again.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from deltaforge.core.event import ChangeEvent
from deltaforge.core.table import Column, TableSchema

_DATES = ("date", "timestamp")
"""MySQL's types whose values with a zero part are no dates, and are null without being NULL."""


def widened(event: ChangeEvent) -> ChangeEvent | None:
    """The event as a row of a definition in which the columns that are NULL in its new row may be null; None: the
    definition says that of all of them.
    """
    image, schema = event.after, event.schema
    if image is None or schema is None:
        return None
    is_mysql = event.source.connector != "postgresql"
    names = frozenset(
        column.name
        for column in schema.columns
        if not column.nullable and image.get(column.name, 0) is None and not (is_mysql and _is_date(column))
    )
    return msgspec.structs.replace(event, schema=_with_null(schema, names)) if names else None


def _is_date(column: Column) -> bool:
    return column.type.lower().startswith(_DATES)


@lru_cache(maxsize=1024)
def _with_null(schema: TableSchema, names: frozenset[str]) -> TableSchema:
    """One object for equal arguments: plans are found by it."""
    columns = tuple(
        msgspec.structs.replace(column, nullable=True) if column.name in names else column for column in schema.columns
    )
    return msgspec.structs.replace(schema, columns=columns)
