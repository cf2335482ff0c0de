"""What MariaDB leaves out of a table map with full metadata: the fraction digits of the old temporal formats, and which
columns it keeps for itself.

Source: MariaDB ``Field_datetime_hires`` and its like in ``field.cc``, ``add_hash_field`` in ``sql_table.cc``,
``System_versioning_info`` in ``handler.cc``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import Column, TableSchema
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import OLD_TIMES, Code, ColumnType, declared_type
from deltaforge.sources.mysql.catalog import OLD_FORMAT, ROW_END, TableInCatalog
from deltaforge.sources.mysql.column_types import fraction_digits

_HASH = re.compile(r"DB_ROW_HASH_\d+")
_START, _END = "row_start", "row_end"


def completed_columns(
    table_map: TableMap, registered: TableSchema | None, look_up: Callable[[], TableInCatalog]
) -> Sequence[ColumnType]:
    """The columns of a full map of MariaDB with all that their rows depend on.

    Args:
        table_map: With names.
        registered: The definition that is known to be valid at the place of the rows.
        look_up: Asks the catalog for the table as it is now; called only if the map leaves something open.

    Raises:
        SchemaError: It cannot be known.
    """
    if not _leaves_open(table_map):
        return table_map.columns
    return _Completion(table_map, registered, look_up().schema()).columns()


def hidden_columns(
    extra: Sequence[ColumnType], *, has_end: bool, look_up: Callable[[], TableInCatalog]
) -> list[tuple[str, ColumnType]]:
    """The columns that a map without names has beyond those of the table's definition, with names that no column can
    have; empty if they are not exactly what the catalog accounts for.

    Args:
        extra: Their types.
        has_end: Whether one of the columns before them says when a row ended.
        look_up: Asks the catalog.
    """
    if not extra:
        return []
    parts = look_up().hidden_parts()
    has_period = parts.is_versioned and not has_end
    codes = [Code.TIMESTAMP2] * 2 * has_period + [Code.LONGLONG] * parts.long_unique_count
    if [column.code for column in extra] != codes:
        return []
    return [
        (f"\0{n}", msgspec.structs.replace(column, is_hidden=True, unsigned=True, ends_row=has_period and n == 1))
        for n, column in enumerate(extra)
    ]


def declared_as(declared: Column, column: ColumnType) -> ColumnType:
    """A column of a map without names with what its declaration says besides."""
    completed = with_fraction(column, fraction_digits(declared.type))
    return msgspec.structs.replace(completed, ends_row=True) if ROW_END in declared.extra else completed


def with_fraction(column: ColumnType, digits: int | None) -> ColumnType:
    """A column of an old temporal format with the fraction digits of its declaration; others as they are."""
    return msgspec.structs.replace(column, scale=digits) if column.code in OLD_TIMES and digits else column


def declaration_of(column: ColumnType, *, is_mariadb: bool) -> str:
    """The type of a completed column as the catalog would write it, as far as it is known."""
    text = declared_type(column)
    return f"{text} {OLD_FORMAT}" if is_mariadb and column.code in OLD_TIMES else text


def _leaves_open(table_map: TableMap) -> bool:
    columns, names = table_map.columns, table_map.column_names or ()
    return (
        any(column.code in OLD_TIMES for column in columns)
        or any(_HASH.fullmatch(name) for name in names)
        or sum(_may_end(table_map, n) for n in range(len(columns))) > 1
    )


def _may_end(table_map: TableMap, n: int) -> bool:
    """Whether a column could be one of the two that bound the life of a row. The rows of tables that keep transactions
    instead of times are logged as statements.
    """
    column = table_map.columns[n]
    return column.code == Code.TIMESTAMP2 and column.scale == 6 and not table_map.null_bits >> n & 1


class _Completion:
    def __init__(self, table_map: TableMap, registered: TableSchema | None, now: TableSchema | None) -> None:
        self._map = table_map
        self._table = f"{table_map.db}.{table_map.table}"
        self._names = table_map.column_names or ()
        self._registered = _by_name(registered)
        self._now = _by_name(now)
        self._is_there = now is not None

    def columns(self) -> list[ColumnType]:
        columns = [self._with_fraction(*pair) for pair in zip(self._names, self._map.columns, strict=True)]
        has_period = self._has_hidden_period()
        for n, name in enumerate(self._names):
            is_bound = has_period and name in (_START, _END)
            columns[n] = msgspec.structs.replace(
                columns[n],
                is_hidden=is_bound or self._is_hash(n),
                ends_row=(is_bound and name == _END) or self._is_declared_end(n),
            )
        return columns

    def _with_fraction(self, name: str, column: ColumnType) -> ColumnType:
        if column.code not in OLD_TIMES:
            return column
        word = column.code.name.lower()
        known = _digits(self._registered.get(name), word), _digits(self._now.get(name), word)
        found = {digits for digits in known if digits is not None}
        if len(found) == 1:
            return with_fraction(column, found.pop())
        raise SchemaError(
            f"column {name} of {self._table} is stored in the old format of {word}, and how many fraction digits it has"
            " there is not known",
            hint="leave the table out, or reset the checkpoint to latest; with mysql56_temporal_format=ON an"
            f" alter table {self._map.table} force brings its columns into the format that the log describes; the user"
            " needs SELECT on the table",
        )

    def _is_hash(self, n: int) -> bool:
        """The hash of a long unique key: unsigned, may be null, and nobody's column."""
        column, name = self._map.columns[n], self._names[n]
        is_like_one = column.code == Code.LONGLONG and column.unsigned and bool(self._map.null_bits >> n & 1)
        declared = self._now if self._is_there else self._registered
        return bool(_HASH.fullmatch(name)) and bool(is_like_one) and name not in declared

    def _has_hidden_period(self) -> bool:
        """Whether ``row_start`` and ``row_end`` are those of a table that names none itself."""
        if _START not in self._names or _END not in self._names or _END in self._now:
            return False
        start, end = self._names.index(_START), self._names.index(_END)
        if end != start + 1 or not (_may_end(self._map, start) and _may_end(self._map, end)):
            return False
        key = self._map.primary_key
        if key:  # the server puts the end of a row into each unique key
            return key[-1] == end
        if self._is_there or (self._registered and _END not in self._registered):
            return True
        raise SchemaError(
            f"table {self._table} is gone, and the log does not tell whether it was system-versioned",
            hint="leave the table out, or reset the checkpoint to a position behind it; the user needs SELECT on it",
        )

    def _is_declared_end(self, n: int) -> bool:
        known = self._registered.get(self._names[n]), self._now.get(self._names[n])
        return _may_end(self._map, n) and any(ROW_END in column.extra for column in known if column is not None)


def _digits(known: Column | None, word: str) -> int | None:
    """The fraction digits of a column that is declared with an old format; None for any other."""
    if known is None or OLD_FORMAT not in known.type or not re.match(rf"{word}\b", known.type, re.IGNORECASE):
        return None
    return fraction_digits(known.type) or 0


def _by_name(schema: TableSchema | None) -> dict[str, Column]:
    return {column.name: column for column in schema.columns} if schema else {}
