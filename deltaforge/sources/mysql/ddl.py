"""What a DDL statement does to table definitions, for servers whose log has no full row metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import TableId
from deltaforge.sources.mysql.ddl_columns import read_charset
from deltaforge.sources.mysql.ddl_table import UNKNOWN, Key, TableBuilder, TableDefinition
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.statement import Kind, Statement, Token

_STARTS = re.compile(r"(?:create|alter|drop|rename)\b", re.IGNORECASE)
Tables = Mapping[Key, TableDefinition]


class Changes(msgspec.Struct):
    """What a statement changes.

    Attributes:
        tables: New definitions; None: the table is gone, or it is not captured and not understood.
        charsets: New default character sets of databases.
    """

    tables: dict[Key, TableDefinition | None] = msgspec.field(default_factory=dict)
    charsets: dict[str, str | None] = msgspec.field(default_factory=dict)


class _Statement(msgspec.Struct):
    cursor: Cursor
    db: str
    tables: Tables
    charset_of: Callable[[str], str | None]


def apply_ddl(
    statement: Statement,
    tables: Tables,
    captured: Callable[[str, str], bool],
    charset_of: Callable[[str], str | None] = lambda _: None,
) -> Changes:
    """The definitions that a statement changes.

    Args:
        statement: As the log holds it.
        tables: The definitions before it.
        captured: Whether ``(db, table)`` is captured.
        charset_of: Default character set of a database; of the server for the empty name.

    Raises:
        SchemaError: It changes a captured table in a way that is not understood.
    """
    try:
        tokens = statement.tokens
        if not tokens or not _STARTS.match(tokens[0].text):
            return Changes()
        changes = _changes(_Statement(Cursor(tokens), statement.db, tables, charset_of))
    except SchemaError as error:
        touched = _names_in(statement)
        if any(captured(*key) for key in touched):
            raise SchemaError(f"DDL that changes a captured table is not understood: {error.message}") from error
        return Changes({key: None for key in touched if key in tables})
    for key, definition in changes.tables.items():
        if definition is UNKNOWN and captured(*key):
            raise SchemaError(f"DDL makes {'.'.join(key)} of a table whose definition is not known")
    changes.tables = {key: None if value is UNKNOWN else value for key, value in changes.tables.items()}
    return changes


def _changes(statement: _Statement) -> Changes:
    cursor = statement.cursor
    verb = cursor.take().text.lower()
    cursor.take_words("or", "replace")
    if cursor.take_any("temporary"):
        return Changes()
    while cursor.take_any("online", "offline", "ignore"):
        continue
    what = cursor.take().text.lower()
    if what in ("database", "schema"):
        return _database(statement, verb)
    if what not in ("table", "tables"):
        return Changes()  # indexes, views, routines, users: no rows change their form
    cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    if verb == "drop":
        return Changes({Cursor(part).take_table(statement.db): None for part in split_by_comma(cursor.rest())})
    if verb == "rename":
        return Changes(_rename(statement))
    table = cursor.take_table(statement.db)
    return Changes(_create(statement, table) if verb == "create" else _alter(statement, table))


def _database(statement: _Statement, verb: str) -> Changes:
    cursor = statement.cursor
    cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    if verb == "drop":
        name = cursor.take_name()
        return Changes({key: None for key in statement.tables if key[0] == name}, {name: None})
    is_unnamed = verb == "alter" and cursor.peek_word() in ("default", "character", "charset", "collate")
    name = statement.db if is_unnamed else cursor.take_name()
    charset = read_charset(cursor)
    if charset is None and verb == "alter":
        return Changes()
    return Changes(charsets={name: charset or statement.charset_of("")})


def _rename(statement: _Statement) -> dict[Key, TableDefinition | None]:
    now: dict[Key, TableDefinition | None] = dict(statement.tables)
    changed: dict[Key, TableDefinition | None] = {}
    for part in split_by_comma(statement.cursor.rest()):
        cursor = Cursor(part)
        old = cursor.take_table(statement.db)
        _skip_wait(cursor)
        if not cursor.take_any("to"):
            raise SchemaError("RENAME TABLE does not say what the new name is")
        new = cursor.take_table(statement.db)
        definition = now.pop(old, None)
        now[new] = changed[new] = _named(definition, new)
        changed[old] = None
    return changed


def _named(definition: TableDefinition | None, key: Key) -> TableDefinition:
    if definition is None:
        return UNKNOWN
    schema = msgspec.structs.replace(definition.schema, table=TableId(key[0], None, key[1]))
    return msgspec.structs.replace(definition, schema=schema)


def _create(statement: _Statement, table: Key) -> dict[Key, TableDefinition | None]:
    cursor = statement.cursor
    elements = cursor if cursor.peek_word() == "like" else Cursor(cursor.take_parenthesized())
    if elements.take_any("like"):
        return {table: _named(statement.tables.get(elements.take_table(statement.db)), table)}
    options = cursor.rest()
    if any(token.kind is Kind.WORD and token.text.lower() in ("select", "versioning") for token in options):
        raise SchemaError("the columns of the table are not all named")
    charset = read_charset(Cursor(_before_partitions(options))) or statement.charset_of(table[0])
    builder = TableBuilder(charset)
    for part in split_by_comma(elements.rest()):
        builder.element(Cursor(part))
    return {table: builder.definition(table)}


def _before_partitions(options: list[Token]) -> list[Token]:
    for at, token in enumerate(options):
        if token.kind is Kind.WORD and token.text.lower() == "partition":
            return options[:at]
    return options


def _alter(statement: _Statement, table: Key) -> dict[Key, TableDefinition | None]:
    known = statement.tables.get(table)
    builder = TableBuilder(known.charset if known else None, known)
    new_name: Key | None = None
    _skip_wait(statement.cursor)
    for part in split_by_comma(statement.cursor.rest()):
        cursor = Cursor(part)
        renamed = _new_name(cursor, statement.db)
        if renamed is not None:
            new_name = renamed
        else:
            builder.alter(cursor)
    if known is None:
        if not builder.is_changed and new_name is None:
            return {}
        return {table: UNKNOWN} if new_name is None else {table: None, new_name: UNKNOWN}
    if new_name is None:
        return {table: builder.definition(table)} if builder.is_changed else {}
    return {table: None, new_name: builder.definition(new_name)}


def _skip_wait(cursor: Cursor) -> None:
    """MariaDB's ``WAIT n`` or ``NOWAIT`` behind the name of a table."""
    if cursor.take_any("wait", "nowait") == "wait":
        cursor.take()


def _new_name(cursor: Cursor, db: str) -> Key | None:
    if cursor.peek_word() != "rename" or cursor.peek_word(1) in ("column", "index", "key"):
        return None
    cursor.take()
    cursor.take_any("to", "as")
    cursor.take_symbol("=")
    return cursor.take_table(db)


def _names_in(statement: Statement) -> set[Key]:
    """Every name in a statement that could be a table's, for one that cannot be read."""
    try:
        tokens = statement.tokens
    except SchemaError:
        tokens = [Token(Kind.WORD, word) for word in re.findall(r"[\w$]+", statement.text)]
    names = {(statement.db, token.text) for token in tokens if token.kind is not Kind.OTHER}
    dotted = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return names | {(left.text, right.text) for left, dot, right in dotted if dot.text == "."}
