"""Column definitions and table options in DDL."""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import Column
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.sources.mysql.column_types import column_type_from_text, stored_labels, stored_text
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.tokens import Kind, Token

_SYNONYMS = {
    "integer": "int", "bool": "tinyint(1)", "boolean": "tinyint(1)", "numeric": "decimal", "dec": "decimal",
    "fixed": "decimal", "character": "char", "int1": "tinyint", "int2": "smallint", "int3": "mediumint",
    "int4": "int", "int8": "bigint", "middleint": "mediumint", "float4": "float", "float8": "double",
    "real": "double", "varcharacter": "varchar", "nvarchar": "varchar", "nchar": "char",
}  # fmt: skip
_ORACLE = {
    "varchar2": "varchar", "raw": "varbinary", "clob": "longtext", "blob": "longblob", "date": "datetime",
}  # fmt: skip
"""What MariaDB makes of some types in ``sql_mode=ORACLE``."""
_LABELLED = ("enum", "set")
_REAL_AS_FLOAT, _ORACLE_MODE, _MAXDB_MODE = 1, 1 << 9, 1 << 12
_SINGLE_PRECISION_BITS = 24


class Settings(msgspec.Struct, frozen=True):
    """What the meaning of a definition depends on: the table's character set, and the session, with that of its
    ``literals``. ``converted``: all text becomes of this set, whatever a column says.
    """

    charset: str | None
    literals: str | None = None
    sql_mode: int = 0
    is_mariadb: bool = False
    converted: str | None = None

    def has_mode(self, mode: int) -> bool:
        """Whether MariaDB was in one of its modes of other databases."""
        return self.is_mariadb and bool(self.sql_mode & mode)


class ColumnDefinition(msgspec.Struct, frozen=True):
    """A column as a DDL statement declares it.

    It stands behind the column ``after``; where neither that nor ``is_first`` is said, at the end.
    """

    column: Column
    type: ColumnType
    is_primary: bool
    is_first: bool = False
    after: str | None = None


def take_column(cursor: Cursor) -> str:
    """A column's name, which may have those of its table and database before it."""
    name = cursor.take_name()
    while cursor.take_symbol("."):
        name = cursor.take_name()
    return name


def read_column(cursor: Cursor, settings: Settings) -> ColumnDefinition:
    """The column definition that is the whole rest of ``cursor``, its name first.

    Args:
        cursor: Stands at the name.
        settings: In which it is read.

    Raises:
        SchemaError: The type is not known.
    """
    name = take_column(cursor)
    text, labels, charset = _read_type(cursor, settings)
    found = _Attributes(charset)
    found.read(cursor)
    if text == "serial":
        text, found.is_nullable = "bigint unsigned", False
        found.extra.append("auto_increment")
    elif found.is_unsigned:
        text += " unsigned"
    charset = found.charset or settings.charset
    if settings.converted is not None and charset != "binary":
        charset = settings.converted
    text = stored_text(text, charset)
    kind = column_type_from_text(text, charset)
    if labels:
        if charset != "binary":
            labels = tuple(label.rstrip(" ") for label in labels)
        labels = stored_labels(stored_labels(labels, settings.literals or "utf8mb4"), charset)
        kind = msgspec.structs.replace(kind, labels=labels)
        text = f"{text.partition('(')[0]}({','.join(map(_quoted, labels))})"  # as the catalog prints it
    is_nullable = found.is_nullable and not found.is_primary
    column = Column(name, text, is_nullable, found.default, " ".join(found.extra))
    return ColumnDefinition(column, kind, found.is_primary, found.is_first, found.after)


class _Attributes:
    """What follows the type of a column, as far as it matters to its rows."""

    def __init__(self, charset: str | None) -> None:
        self.charset = charset
        self.is_nullable = True
        self.is_primary = False
        self.is_unsigned = False
        self.default: str | None = None
        self.extra: list[str] = []
        self.is_first = False
        self.after: str | None = None

    def read(self, cursor: Cursor) -> None:
        """Read to the end. What is not known here (VISIBLE, STORED, ...) does not change the form of a row."""
        readers = self._read_charset, self._read_nullability, self._read_role, self._skip
        while not cursor.is_at_end:
            if cursor.is_symbol("("):
                cursor.take_parenthesized()
            elif not any(read(cursor) for read in readers):
                cursor.take()

    def _read_charset(self, cursor: Cursor) -> bool:
        if cursor.take_words("character", "set") or cursor.take_words("char", "set") or cursor.take_any("charset"):
            charset = _charset_name(cursor)
            self.charset = None if charset == "default" else charset
        elif cursor.take_any("collate"):
            self.charset = self.charset or charset_from_collation(_charset_name(cursor))
        elif word := cursor.take_any("ascii", "unicode", "byte"):
            self.charset = {"ascii": "latin1", "unicode": "ucs2", "byte": "binary"}[word]
        else:
            return False
        return True

    def _read_nullability(self, cursor: Cursor) -> bool:
        if cursor.take_words("not", "null"):
            self.is_nullable = False
        elif cursor.take_words("as", "row"):  # of a system-versioned table
            self.is_nullable = False
            self.extra.append(f"ROW {cursor.take().text.upper()}")
        elif cursor.take_any("null"):
            self.is_nullable = True
        else:
            return False
        return True

    def _read_role(self, cursor: Cursor) -> bool:
        if cursor.take_any("unsigned", "zerofill"):
            self.is_unsigned = True
        elif cursor.take_words("serial", "default", "value"):
            self.is_nullable = False
            self.extra.append("auto_increment")
        elif cursor.take_any("default"):
            self.default = _read_default(cursor)
        elif cursor.take_words("primary", "key") or cursor.take_any("key", "primary"):
            self.is_primary = True
        elif cursor.take_any("auto_increment"):
            self.is_nullable = False
            self.extra.append("auto_increment")
        elif cursor.take_any("first"):
            self.is_first = True
        elif cursor.take_any("after"):
            self.after = cursor.take_name()
        else:
            return False
        return True

    @staticmethod
    def _skip(cursor: Cursor) -> bool:
        """Words whose argument must not be taken for an attribute."""
        if cursor.take_words("unique", "key"):
            return True
        if cursor.take_any("comment", "column_format", "storage"):
            cursor.take()
        elif cursor.take_any("constraint"):
            if cursor.peek_word() != "check":
                cursor.take()
        elif cursor.take_any("references"):
            cursor.take_table("")
        elif cursor.take_any("on"):
            cursor.take()
            if cursor.take().text.lower() == "set":
                cursor.take()
        else:
            return False
        return True


def _read_type(cursor: Cursor, settings: Settings) -> tuple[str, tuple[str, ...], str | None]:
    """Type text, labels, and the character set that the type itself says."""
    word = _type_word(cursor, settings)
    charset: str | None = None
    if word == "national":
        word, charset = cursor.take_name().lower(), "utf8mb3"
    elif word in ("nchar", "nvarchar"):
        charset = "utf8mb3"
    if word == "long":
        word = "mediumblob" if cursor.take_any("varbinary") else "mediumtext"
        cursor.take_words("char", "varying") or cursor.take_any("varchar", "varcharacter")
    elif word == "double":
        cursor.take_any("precision")
    elif word in ("char", "character", "nchar") and cursor.take_any("varying", "varchar", "varcharacter"):
        word = "varchar"
    elif word == "real" and settings.sql_mode & _REAL_AS_FLOAT:
        word = "float"
    elif word == "json" and settings.is_mariadb:
        word, charset = "longtext", "utf8mb4"
    word = _SYNONYMS.get(word, word)
    return *_with_arguments(word, cursor), charset


def _with_arguments(word: str, cursor: Cursor) -> tuple[str, tuple[str, ...]]:
    """Type text and labels."""
    if not cursor.is_symbol("("):
        return word, ()
    arguments = [part[0] for part in split_by_comma(cursor.take_parenthesized()) if part]
    if word in _LABELLED:
        labels = _labels(arguments)
        return f"{word}({','.join(map(_quoted, labels))})", labels
    if word == "float" and len(arguments) == 1:
        return ("float" if int(arguments[0].text) <= _SINGLE_PRECISION_BITS else "double"), ()
    return word.partition("(")[0] + _printed(arguments), ()


def _type_word(cursor: Cursor, settings: Settings) -> str:
    word = cursor.take_name().lower()
    if cursor.take_symbol("."):  # MariaDB: oracle_schema.date
        schema, word = word, cursor.take_name().lower()
        is_oracle = schema == "oracle_schema"
        is_maxdb = schema == "maxdb_schema"
    else:
        is_oracle, is_maxdb = settings.has_mode(_ORACLE_MODE), settings.has_mode(_MAXDB_MODE)
    if is_maxdb and word == "timestamp":
        return "datetime"
    if not is_oracle:
        return word
    if word == "number":
        return "decimal" if cursor.is_symbol("(") else "double"
    return _ORACLE.get(word, word)


def _labels(arguments: list[Token]) -> tuple[str, ...]:
    if any(argument.kind is not Kind.STRING for argument in arguments):
        raise SchemaError("a label of an enum or set is not a plain string")
    return tuple(argument.text for argument in arguments)


def _printed(arguments: list[Token]) -> str:
    printed = (_quoted(argument.text) if argument.kind is Kind.STRING else argument.text for argument in arguments)
    return f"({','.join(printed)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _read_default(cursor: Cursor) -> str | None:
    """A constant, or the word that stands for now; None: NULL, or an expression."""
    if cursor.is_symbol("("):
        cursor.take_parenthesized()
        return None
    token = cursor.take()
    if token.kind is Kind.WORD and token.text.lower() not in _DEFAULT_WORDS:
        if cursor.is_string:  # of _utf8mb4'a', date '2026-11-28'
            return cursor.take().text
        if cursor.is_symbol("("):  # MariaDB: of a function
            cursor.take_parenthesized()
        return None
    if token.kind is Kind.OTHER and token.text in ("-", "+"):
        return token.text.replace("+", "") + cursor.take().text
    return token.text


_DEFAULT_WORDS = frozenset({"true", "false", "current_timestamp", "now", "localtime", "localtimestamp"})


def read_charset(cursor: Cursor, default: str | None) -> str | None:
    """The character set among table or database options; None if they name none. Reads to the end.

    Args:
        cursor: Stands before the options.
        default: What ``DEFAULT`` means there.
    """
    charset: str | None = None
    from_collation: str | None = None
    while not cursor.is_at_end:
        if cursor.is_symbol("("):
            cursor.take_parenthesized()
        elif cursor.take_words("comment") or cursor.take_words("connection") or cursor.take_words("password"):
            cursor.take_symbol("=")
            cursor.take()
        elif cursor.take_words("character", "set") or cursor.take_words("char", "set") or cursor.take_any("charset"):
            charset = _charset_name(cursor)
        elif cursor.take_any("collate"):
            from_collation = charset_from_collation(_charset_name(cursor))
        else:
            cursor.take()
    if charset == "default":
        charset = default
    return {"utf8": "utf8mb3"}.get(charset or "", charset) if charset is not None else from_collation


def _charset_name(cursor: Cursor) -> str:
    cursor.take_symbol("=")
    return cursor.take().text.lower()


def charset_from_collation(collation: str) -> str | None:
    """The character set in a collation's name; None for MariaDB's collations that fit several."""
    charset = collation.partition("_")[0]
    return None if charset in ("uca1400", "default") else {"utf8": "utf8mb3"}.get(charset, charset)


def primary_key_of(cursor: Cursor) -> tuple[tuple[str, ...], bool]:
    """The columns of a key definition that begins with ``PRIMARY KEY``, and whether it has IF NOT EXISTS.

    Raises:
        SchemaError: Some of the columns are not named.
    """
    is_maybe = False
    while not cursor.is_symbol("("):
        is_maybe = is_maybe or cursor.take().text.lower() == "exists"
    parts = [part for part in split_by_comma(cursor.take_parenthesized()) if part]
    if any(Cursor(part[1:]).take_words("without", "overlaps") for part in parts):
        raise SchemaError("the columns of a period in the primary key are not named")
    return tuple(part[0].text for part in parts), is_maybe
