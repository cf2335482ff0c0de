"""How the clauses of CREATE and ALTER TABLE change a table definition.

The clauses of one ALTER TABLE are about the table before it, and where a name is that of a new column, about the table
after it. So all of them are read first, and then the new table is put together as the servers do it.

Source: ``mysql_prepare_alter_table`` in ``sql_table.cc`` of both servers.
"""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.sources.mysql.column_types import with_charset
from deltaforge.sources.mysql.ddl_columns import (
    ColumnDefinition,
    Settings,
    primary_key_of,
    read_charset,
    read_column,
    take_column,
)
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.definitions import Key, TableDefinition
from deltaforge.sources.mysql.tokens import Kind, Token

# What begins an element of CREATE TABLE, or follows ADD and DROP, and is no column.
_KEYS = frozenset({"index", "key", "unique", "fulltext", "spatial", "foreign", "check"})
# Clauses of ALTER TABLE that leave the form of the rows alone. Options of storage engines have a ``=``.
_HARMLESS = frozenset({
    "algorithm", "lock", "with", "without", "engine", "storage", "auto_increment", "avg_row_length", "checksum",
    "comment", "compression", "connection", "data", "delay_key_write", "directory", "disable", "discard",
    "enable", "encryption", "encrypted", "force", "import", "index", "insert_method", "key_block_size", "max_rows",
    "min_rows", "pack_keys", "password", "row_format", "secondary_load", "secondary_unload",
    "stats_auto_recalc", "stats_persistent", "stats_sample_pages", "tablespace", "table_checksum", "transactional",
    "union", "validation", "page_checksum", "page_compressed", "page_compression_level", "autoextend_size",
    "secondary_engine", "sequence", "type", "raid_type", "start",
})  # fmt: skip
_CHARSETS = frozenset({"default", "character", "char", "charset", "collate"})
_OF_PARTITIONS = frozenset({
    "add", "drop", "analyze", "check", "coalesce", "exchange", "optimize", "rebuild", "reorganize", "repair",
    "truncate", "discard", "import", "convert",
})  # fmt: skip
_PARTITIONING = frozenset({"partition by", "remove partitioning", "upgrade partitioning"})


class _Placed(msgspec.Struct):
    """A column in the new table, and the definition that it comes from, if the statement has one."""

    column: Column
    type: ColumnType
    source: ColumnDefinition | None = None


class TableBuilder:
    """A table definition while a statement changes it.

    Args:
        settings: In which the statement is read; its character set is what columns get that name none.
        known: The table before an ALTER; None for a new table.
    """

    def __init__(self, settings: Settings, known: TableDefinition | None = None) -> None:
        self.is_changed = False
        self._settings = settings
        self._is_new = known is None
        self._old: list[tuple[Column, ColumnType]] = []
        self._old_key: tuple[str, ...] = ()
        if known is not None:
            self._old = list(zip(known.schema.columns, known.columns, strict=True))
            self._old_key = known.schema.primary_key
        self._old_names = {column.name.lower() for column, _ in self._old}
        self._dropped: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._definitions: list[ColumnDefinition] = []
        self._changed: dict[str, ColumnDefinition] = {}
        self._defaults: dict[str, str | None] = {}
        self._key: tuple[str, ...] | None = None
        self._is_key_dropped = False
        self._converted: str | None = None
        self._has_charset = False

    def definition(self, table: Key) -> TableDefinition:
        """What it has become.

        Raises:
            SchemaError: A clause names a column that is not there.
        """
        placed = self._columns()
        if len({found.column.name.lower() for found in placed}) < len(placed):
            raise SchemaError("a column is there already: the schema history is not what the table was")
        if self._converted is not None:
            placed = [self._convert(column) for column in placed]
        key = tuple(_spelled(name, placed) for name in self._primary_key())
        columns = tuple(
            msgspec.structs.replace(found.column, nullable=False) if found.column.name in key else found.column
            for found in placed
        )
        schema = TableSchema(TableId(table[0], None, table[1]), columns, key)
        return TableDefinition(schema, tuple(found.type for found in placed), self._settings.charset)

    def element(self, cursor: Cursor, *, is_maybe: bool = False) -> None:
        """An element of CREATE TABLE, or what follows ADD."""
        if cursor.take_any("constraint"):
            cursor.take_words("if", "not", "exists")
            if cursor.peek_word() not in _KEYS | {"primary"}:
                cursor.take_name()
        if cursor.peek_word() == "primary":
            names, may_exist = primary_key_of(cursor)
            self._set_key(names, is_maybe=is_maybe or may_exist)
        elif not _is_no_column(cursor):
            self._define(read_column(cursor, self._settings), is_maybe=is_maybe)

    def set_options(self, cursor: Cursor, default: str | None) -> bool:
        """Table options, if this clause of ALTER TABLE is some. Those of all clauses come before the columns.

        Args:
            cursor: Is left alone if it is something else.
            default: What ``DEFAULT`` is as a character set: that of the database.
        """
        if cursor.peek_word() == "convert" and cursor.peek_word(1) == "to":
            charset = read_charset(cursor, default)
            if charset is None:
                raise SchemaError("CONVERT TO names no character set that is known")
            self._converted = charset
            self._set_charset(charset)
            self._settings = msgspec.structs.replace(self._settings, converted=charset)
            return True
        if cursor.peek_word() not in _HARMLESS | _CHARSETS and not cursor.is_symbol("=", 1):
            return False
        charset = read_charset(cursor, default)
        if charset is not None:
            self._set_charset(charset)
        return True

    def _set_charset(self, charset: str) -> None:
        if self._has_charset and charset != self._settings.charset:
            raise SchemaError("ALTER TABLE names several character sets for the table")
        self._settings = msgspec.structs.replace(self._settings, charset=charset)
        self._has_charset = self.is_changed = True

    def alter(self, cursor: Cursor) -> None:
        """A clause of ALTER TABLE that is no option."""
        verb = cursor.take().text.lower()
        if verb in ("add", "drop") and cursor.take_words("system", "versioning"):
            return  # hides columns at the end of each row; what the catalog shows stays
        if verb == "add":
            self._add(cursor)
        elif verb == "drop":
            self._drop(cursor)
        elif verb in ("modify", "change"):
            cursor.take_any("column")
            is_maybe = cursor.take_words("if", "exists")
            old = take_column(cursor) if verb == "change" else None
            self._change(old, read_column(cursor, self._settings), is_maybe=is_maybe)
        elif verb == "alter":
            self._alter_column(cursor)
        elif verb == "rename":
            self._rename(cursor)
        else:
            raise SchemaError(f"ALTER TABLE ... {verb[:20].upper()} is not known")

    def _add(self, cursor: Cursor) -> None:
        is_column = bool(cursor.take_any("column"))
        is_maybe = cursor.take_words("if", "not", "exists")
        if cursor.is_symbol("("):
            for part in split_by_comma(cursor.take_parenthesized()):
                self.element(Cursor(part), is_maybe=is_maybe)
        elif is_column:
            self._define(read_column(cursor, self._settings), is_maybe=is_maybe)
        else:
            self.element(cursor, is_maybe=is_maybe)

    def _define(self, added: ColumnDefinition, *, is_maybe: bool) -> None:
        name = added.column.name.lower()
        if is_maybe and (name in self._old_names or any(d.column.name.lower() == name for d in self._definitions)):
            return
        self.is_changed = True
        self._definitions.append(added)
        if added.is_primary:
            self._set_key((added.column.name,), is_maybe=is_maybe)

    def _change(self, old: str | None, new: ColumnDefinition, *, is_maybe: bool) -> None:
        name = (old or new.column.name).lower()
        if not self._has(name, is_maybe=is_maybe):
            return
        self.is_changed = True
        self._changed[name] = new
        self._definitions.append(new)
        if new.is_primary:
            self._set_key((new.column.name,), is_maybe=is_maybe)

    def _set_key(self, names: tuple[str, ...], *, is_maybe: bool) -> None:
        """A primary key; where a clause has IF NOT EXISTS or IF EXISTS, only if there was none."""
        if not (is_maybe and self._old_key):
            self._key, self.is_changed = names, True

    def _drop(self, cursor: Cursor) -> None:
        if cursor.take_any("primary"):
            self._drop_key()
            return
        is_column = bool(cursor.take_any("column"))
        if not is_column and (_is_no_column(cursor) or cursor.peek_word() == "constraint"):
            cursor.take()
            cursor.take_any("key")
            cursor.take_words("if", "exists")
            if not cursor.is_at_end and cursor.take().text.lower() == "primary":
                self._drop_key()
            return
        is_maybe = cursor.take_words("if", "exists")
        name = take_column(cursor).lower()
        if self._has(name, is_maybe=is_maybe):
            self._dropped.add(name)
            self.is_changed = True

    def _drop_key(self) -> None:
        self._is_key_dropped = self.is_changed = True

    def _alter_column(self, cursor: Cursor) -> None:
        if cursor.take_any("index", "key", "check", "constraint"):
            return
        cursor.take_any("column")
        is_maybe = cursor.take_words("if", "exists")
        name = take_column(cursor).lower()
        if not self._has(name, is_maybe=is_maybe):
            return
        if cursor.take_words("drop", "default"):
            self._defaults[name] = None
            self.is_changed = True
        elif cursor.take_words("set", "default"):
            self._defaults[name] = " ".join(token.text for token in cursor.rest())
            self.is_changed = True

    def _rename(self, cursor: Cursor) -> None:
        if cursor.take_any("column"):
            is_maybe = cursor.take_words("if", "exists")
            old = take_column(cursor).lower()
            cursor.take_any("to")
            if self._has(old, is_maybe=is_maybe):
                self._renamed[old] = cursor.take_name()
                self.is_changed = True

    def _has(self, name: str, *, is_maybe: bool) -> bool:
        """Whether the table before the statement has a column.

        Raises:
            SchemaError: It has not, and the clause does not say IF EXISTS.
        """
        if name in self._old_names:
            return True
        if is_maybe:
            return False
        raise SchemaError(f"there is no column {name!r} in the schema history")

    def _columns(self) -> list[_Placed]:
        if not self._dropped.isdisjoint(self._changed):  # MariaDB then changes a column of that name that is added
            raise SchemaError("a clause changes a column that another clause drops")
        placed: list[_Placed] = []
        for column, kind in self._old:
            name = column.name.lower()
            changed = self._changed.get(name)
            if name in self._dropped:
                continue
            if changed is not None:
                placed.append(_Placed(changed.column, changed.type, changed))
                continue
            default = self._defaults.get(name, column.default)
            renamed = self._renamed.get(name, column.name)
            placed.append(_Placed(msgspec.structs.replace(column, name=renamed, default=default), kind))
        changed_ids = {id(definition) for definition in self._changed.values()}
        for definition in self._definitions:
            is_old = id(definition) in changed_ids
            if is_old and not definition.is_first and definition.after is None:
                continue
            if is_old:
                placed = [found for found in placed if found.source is not definition]
            at = self._place(definition, placed)
            placed.insert(at, _Placed(definition.column, definition.type, definition))
        return placed

    @staticmethod
    def _place(definition: ColumnDefinition, placed: list[_Placed]) -> int:
        if definition.is_first:
            return 0
        if definition.after is None:
            return len(placed)
        wanted = definition.after.lower()
        for at, found in enumerate(placed):
            if found.column.name.lower() == wanted:
                return at + 1
        raise SchemaError(f"there is no column {definition.after!r} in the schema history")

    def _convert(self, found: _Placed) -> _Placed:
        if self._converted is None or found.type.charset in (None, "binary"):
            return found
        text, kind = with_charset(found.column.type, found.type, self._converted)
        return _Placed(msgspec.structs.replace(found.column, type=text), kind)

    def _primary_key(self) -> tuple[str, ...]:
        if self._key is not None:
            return self._key
        if self._is_key_dropped:
            return ()
        names = []
        for name in self._old_key:
            changed = self._changed.get(name.lower())
            if changed is not None:
                names.append(changed.column.name)
            elif name.lower() not in self._dropped:
                names.append(self._renamed.get(name.lower(), name))
        return tuple(names)


def _is_no_column(cursor: Cursor) -> bool:
    """Whether an element of CREATE TABLE, or what follows ADD or DROP, is a key, a constraint or a period."""
    word, following = cursor.peek_word(), cursor.peek_word(1)
    if word == "vector":
        return following in ("index", "key") or cursor.is_symbol("(", 1)
    return word in _KEYS or (word == "period" and following == "for")


def _spelled(name: str, placed: list[_Placed]) -> str:
    """A column's name as its definition spells it; names are equal whatever their case."""
    return next((found.column.name for found in placed if found.column.name.lower() == name.lower()), name)


def clauses_of(cursor: Cursor) -> list[Cursor]:
    """The clauses of an ALTER TABLE but for those about partitions and the order of the rows, which change no
    definition.
    """
    clauses = []
    for part in split_by_comma(before_partitioning(cursor.rest())):
        clause = Cursor(part)
        if clause.peek_word() in _OF_PARTITIONS and clause.peek_word(1) == "partition":
            break  # nothing else stands beside it, and it has a list of names
        if clause.peek_word() == "order" and clause.peek_word(1) == "by":
            break  # names to the end
        clauses.append(clause)
    return clauses


def before_partitioning(tokens: list[Token]) -> list[Token]:
    """What stands before PARTITION BY or REMOVE PARTITIONING, which follow without a comma, with names and words of
    their own.
    """
    depth = 0
    words = [token.text.lower() if token.kind is Kind.WORD else token.text for token in tokens]
    for at, token in enumerate(tokens):
        if token.kind is Kind.OTHER:
            depth += (token.text == "(") - (token.text == ")")
        elif not depth and token.kind is Kind.WORD and " ".join(words[at : at + 2]) in _PARTITIONING:
            return tokens[:at]
    return tokens
