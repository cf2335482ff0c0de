"""A table definition, and how the clauses of CREATE and ALTER TABLE change it."""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.sources.mysql.ddl_columns import ColumnDefinition, primary_key_of, read_charset, read_column
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma

Key = tuple[str, str]

# Elements of CREATE TABLE, and what may follow ADD, that are no columns.
_KEYS = frozenset({"index", "key", "unique", "fulltext", "spatial", "foreign", "check", "like", "period"})
# Clauses of ALTER TABLE that leave the form of the rows alone.
_HARMLESS = frozenset({
    "algorithm", "lock", "with", "without", "engine", "storage", "auto_increment", "avg_row_length", "checksum",
    "comment", "compression", "connection", "data", "delay_key_write", "directory", "disable", "discard",
    "enable", "encryption", "encrypted", "force", "import", "insert_method", "key_block_size", "max_rows",
    "min_rows", "order", "pack_keys", "password", "row_format", "secondary_load", "secondary_unload",
    "stats_auto_recalc", "stats_persistent", "stats_sample_pages", "tablespace", "transactional", "union",
    "validation", "partition", "analyze", "check", "coalesce", "exchange", "optimize", "rebuild", "remove",
    "reorganize", "repair", "truncate", "page_checksum", "page_compressed", "page_compression_level",
    "autoextend_size", "secondary_engine", "sequence",
})  # fmt: skip
_CHARSETS = frozenset({"default", "character", "charset", "collate"})


class TableDefinition(msgspec.Struct, frozen=True):
    """A table definition with everything that its table map may leave out, in column order.

    ``charset`` is the default of columns that are added later.
    """

    schema: TableSchema
    columns: tuple[ColumnType, ...]
    charset: str | None = None


# Stands for a table that a statement makes in a way that cannot be followed.
UNKNOWN = TableDefinition(TableSchema(TableId("", None, ""), ()), ())


class TableBuilder:
    """A table definition while a statement changes it."""

    def __init__(self, charset: str | None, known: TableDefinition | None = None) -> None:
        self.is_changed = False
        self._charset = charset
        self._is_known = known is not None
        self._columns: list[tuple[Column, ColumnType]] = []
        self._primary_key: tuple[str, ...] = ()
        if known is not None:
            self._columns = list(zip(known.schema.columns, known.columns, strict=True))
            self._primary_key = known.schema.primary_key

    def definition(self, table: Key) -> TableDefinition:
        """What it has become."""
        key = tuple(self._spelled(name) for name in self._primary_key)
        columns = tuple(
            msgspec.structs.replace(column, nullable=False) if column.name in key else column
            for column, _ in self._columns
        )
        schema = TableSchema(TableId(table[0], None, table[1]), columns, key)
        return TableDefinition(schema, tuple(kind for _, kind in self._columns), self._charset)

    def element(self, cursor: Cursor) -> None:
        """An element of CREATE TABLE, or what follows ADD."""
        if cursor.take_any("constraint") and cursor.peek_word() not in _KEYS | {"primary"}:
            cursor.take_name()
        if cursor.peek_word() == "primary":
            self._primary_key = primary_key_of(cursor)
            self.is_changed = True
        elif cursor.peek_word() not in _KEYS and not (
            cursor.peek_word() == "vector" and cursor.peek_word(1) in ("index", "key")
        ):
            self._add(read_column(cursor, self._charset))

    def alter(self, cursor: Cursor) -> None:
        """A clause of ALTER TABLE."""
        if cursor.peek_word() in _HARMLESS | _CHARSETS:
            self._set_default_charset(cursor)  # options may stand side by side, without commas
            return
        verb = cursor.take().text.lower()
        if verb in ("add", "drop") and cursor.take_words("system", "versioning"):
            raise SchemaError("system-versioned tables have columns that the log does not name")
        if verb == "add":
            self._alter_add(cursor)
        elif verb == "drop":
            self._alter_drop(cursor)
        elif verb in ("modify", "change"):
            cursor.take_any("column")
            is_maybe = cursor.take_words("if", "exists")
            old = cursor.take_name() if verb == "change" else None
            self._replace(old, read_column(cursor, self._charset), is_maybe=is_maybe)
        elif verb == "alter":
            self._alter_column(cursor)
        elif verb == "rename":
            if cursor.take_any("column"):
                cursor.take_words("if", "exists")
                old = cursor.take_name()
                cursor.take_any("to")
                self._rename(old, cursor.take_name())
        elif verb == "convert":
            self._convert(read_charset(cursor))
        else:
            raise SchemaError(f"ALTER TABLE ... {verb[:20].upper()} is not known")

    def _alter_add(self, cursor: Cursor) -> None:
        if cursor.peek_word() == "partition":
            return
        is_column = bool(cursor.take_any("column"))
        is_maybe = cursor.take_words("if", "not", "exists")
        if cursor.is_symbol("("):
            for part in split_by_comma(cursor.take_parenthesized()):
                self.element(Cursor(part))
        elif is_column or is_maybe:
            column = read_column(cursor, self._charset)
            if not (is_maybe and self._find(column.column.name) is not None):
                self._add(column)
        else:
            self.element(cursor)

    def _alter_drop(self, cursor: Cursor) -> None:
        if cursor.take_any("primary"):
            self._primary_key, self.is_changed = (), True
            return
        if not cursor.take_any("column") and cursor.peek_word() in _KEYS | {"constraint", "partition"}:
            return
        is_maybe = cursor.take_words("if", "exists")
        self.is_changed = True
        at = self._place_of(cursor.take_name(), is_maybe=is_maybe)
        if at is None:
            return
        column = self._columns.pop(at)[0]
        self._primary_key = tuple(key for key in self._primary_key if key.lower() != column.name.lower())

    def _alter_column(self, cursor: Cursor) -> None:
        if cursor.take_any("index", "key", "check", "constraint"):
            return
        cursor.take_any("column")
        cursor.take_words("if", "exists")
        at = self._place_of(cursor.take_name())
        if at is None:
            return
        column, kind = self._columns[at]
        if cursor.take_words("drop", "default"):
            self._columns[at] = msgspec.structs.replace(column, default=None), kind
            self.is_changed = True
        elif cursor.take_words("set", "default"):
            text = " ".join(token.text for token in cursor.rest())
            self._columns[at] = msgspec.structs.replace(column, default=text), kind
            self.is_changed = True

    def _set_default_charset(self, options: Cursor) -> None:
        charset = read_charset(options)
        if charset is not None:
            self._charset, self.is_changed = charset, True

    def _convert(self, charset: str | None) -> None:
        """CONVERT TO CHARACTER SET: every text column gets it."""
        if charset is None:
            raise SchemaError("CONVERT TO names no character set that is known")
        self._charset, self.is_changed = charset, True
        self._columns = [
            (column, msgspec.structs.replace(kind, charset=charset) if kind.charset not in (None, "binary") else kind)
            for column, kind in self._columns
        ]

    def _rename(self, old: str, new: str) -> None:
        self.is_changed = True
        at = self._place_of(old)
        if at is None:
            return
        column, kind = self._columns[at]
        self._columns[at] = msgspec.structs.replace(column, name=new), kind
        self._rename_in_key(old, new)

    def _add(self, added: ColumnDefinition) -> None:
        self.is_changed = True
        self._columns.insert(self._place(added, len(self._columns)), (added.column, added.type))
        if added.is_primary:
            self._primary_key = (added.column.name,)

    def _replace(self, old: str | None, new: ColumnDefinition, *, is_maybe: bool) -> None:
        old = old or new.column.name
        self.is_changed = True
        at = self._place_of(old, is_maybe=is_maybe)
        if at is None:
            return
        self._columns.pop(at)
        self._columns.insert(self._place(new, at), (new.column, new.type))
        self._rename_in_key(old, new.column.name)
        if new.is_primary:
            self._primary_key = (new.column.name,)

    def _place(self, definition: ColumnDefinition, otherwise: int) -> int:
        if definition.is_first:
            return 0
        before = self._place_of(definition.after) if definition.after is not None else None
        return otherwise if before is None else before + 1

    def _rename_in_key(self, old: str, new: str) -> None:
        self._primary_key = tuple(new if key.lower() == old.lower() else key for key in self._primary_key)

    def _find(self, name: str) -> int | None:
        wanted = name.lower()
        return next((n for n, (column, _) in enumerate(self._columns) if column.name.lower() == wanted), None)

    def _spelled(self, name: str) -> str:
        """A column's name as its definition spells it; names are equal whatever their case."""
        at = self._find(name)
        return name if at is None else self._columns[at][0].name

    def _place_of(self, name: str, *, is_maybe: bool = False) -> int | None:
        """Where a column stands that a clause names. None: the table is not known, or the clause says IF EXISTS.

        Raises:
            SchemaError: The table is known and has no such column.
        """
        at = self._find(name)
        if at is None and self._is_known and not is_maybe:
            raise SchemaError(f"there is no column {name!r} in the schema history")
        return at
