"""MariaDB's sequences: tables of one row, whose columns no statement names."""

from __future__ import annotations

from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sources.mysql.column_types import column_type_from_text
from deltaforge.sources.mysql.ddl_tokens import Cursor
from deltaforge.sources.mysql.definitions import Key, TableDefinition

_VALUES = ("next_not_cached_value", "minimum_value", "maximum_value", "start_value", "increment")
_REST = {"cache_size": "bigint(21) unsigned", "cycle_option": "tinyint(1) unsigned", "cycle_count": "bigint(21)"}


def is_sequence(definition: TableDefinition) -> bool:
    """Whether this is the table of a sequence, by its columns."""
    return {column.name for column in definition.schema.columns} == {*_VALUES, *_REST}


def sequence_definition(key: Key, options: Cursor, charset: str | None) -> TableDefinition:
    """The table of a new sequence.

    Args:
        key: Its name.
        options: What stands behind it: since 11.5 it may be of any integer type.
        charset: The default of its database.
    """
    kind = "bigint(21)"
    if options.take_any("as"):
        kind = options.take_name().lower()
        kind = {"integer": "int"}.get(kind, kind) + (" unsigned" if options.take_any("unsigned") else "")
    texts = {**{name: kind for name in _VALUES if name != "increment"}, "increment": "bigint(21)", **_REST}
    columns = tuple(Column(name, text, nullable=False) for name, text in texts.items())
    types = tuple(column_type_from_text(text, None) for text in texts.values())
    return TableDefinition(TableSchema(TableId(key[0], None, key[1]), columns), types, charset)
