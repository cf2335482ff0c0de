"""What a DDL statement does to table definitions, for servers whose log has no full row metadata."""

from __future__ import annotations

import re

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.charsets import is_like_utf8
from deltaforge.protocol.mysql.status_vars import NO_BACKSLASH_ESCAPES
from deltaforge.sources.mysql.ddl_columns import Settings, read_charset
from deltaforge.sources.mysql.ddl_table import TableBuilder, before_partitioning, clauses_of
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.definitions import Changes, Definitions, Key, State, TableDefinition, Unknown
from deltaforge.sources.mysql.sequences import is_sequence, sequence_definition
from deltaforge.sources.mysql.statement import Statement
from deltaforge.sources.mysql.tokens import Kind, Token

_WRITTEN = re.compile(r"CREATE (?:OR REPLACE )?TABLE (?:IF NOT EXISTS )?[`\"].*? \(\n  ", re.DOTALL)
_MADE = re.compile(
    r"create\s+(?:or\s+replace\s+)?table\s+(?:if\s+not\s+exists\s+)?(?:[`\"]([^`\"]+)[`\"]|([\w$]+))", re.IGNORECASE
)
_WITHOUT_OPTIONS = 1 << 14 | 1 << 15
"""NO_TABLE_OPTIONS and NO_FIELD_OPTIONS of MariaDB."""
_VERBS = frozenset({"create", "alter", "drop", "rename"})


class _Ddl(msgspec.Struct):
    """A statement while it is read."""

    cursor: Cursor
    statement: Statement
    known: Definitions

    def table(self, cursor: Cursor) -> Key:
        """The name of a table, with the default database where it names none."""
        return self.known.key(*cursor.take_table(self.statement.db))

    def is_temporary(self, key: Key) -> bool:
        """Whether the statement means a temporary table of its connection by this name."""
        return self.known.is_temporary(self.statement.thread, key)

    def unknown(self, why: str) -> Unknown:
        """A table whose definition this statement leaves unknown."""
        return Unknown(f"{why}: {self.statement.outline}")

    def settings(self, charset: str | None) -> Settings:
        """In which column definitions are read."""
        session = self.statement.session
        return Settings(charset, session.connection_charset, session.sql_mode, self.statement.dialect.is_mariadb)


def apply_ddl(statement: Statement, known: Definitions) -> Changes:
    """The definitions that a statement changes. Where it is not understood they are unknown from here on.

    Args:
        statement: As the log holds it.
        known: The definitions before it.
    """
    if not statement.session.has_effect:
        return Changes()
    try:
        _check_told(statement)
        cursor = Cursor(statement.tokens)
        verb = cursor.take_any(*_VERBS)
        return _changes(_Ddl(cursor, statement, known), verb) if verb else Changes()
    except SchemaError as error:
        why = Unknown(f"{error.message}: {statement.outline}")
        return Changes(dict.fromkeys(_touched(statement, known), why))


def _check_told(statement: Statement) -> None:
    """Check whether a statement is in the settings that it says.

    Raises:
        SchemaError: The server seems to have written it itself, as for CREATE TABLE … SELECT: in UTF-8 and with
            backslashes, whatever the session has, and in some modes without the table's character set.
    """
    if not _WRITTEN.match(statement.text):
        return
    session = statement.session
    charset = session.client_charset or "utf8mb4"
    has_escapes = bool(session.sql_mode & NO_BACKSLASH_ESCAPES) and "\\" in statement.text
    lacks_options = statement.dialect.is_mariadb and bool(session.sql_mode & _WITHOUT_OPTIONS)
    if (
        has_escapes
        or lacks_options
        or (charset not in ("utf8mb4", "utf8mb3") and is_like_utf8(statement.text, charset))
    ):
        raise SchemaError("a server writes such a statement in other settings than those of its session")


def _changes(ddl: _Ddl, verb: str) -> Changes:
    cursor = ddl.cursor
    replaces = cursor.take_words("or", "replace")
    if cursor.take_any("temporary"):
        return _temporary(ddl, verb)
    while cursor.take_any("online", "offline", "ignore"):
        continue
    what = cursor.take_any("database", "schema", "index", "table", "tables", "sequence")
    if what in ("database", "schema"):
        return _database(ddl, verb, replaces=replaces)
    if what == "index":
        return _drop_index(ddl) if verb == "drop" else Changes()
    # No rows change their form by views, routines and users.
    return _tables(ddl, verb, what, replaces=replaces) if what else Changes()


def _temporary(ddl: _Ddl, verb: str) -> Changes:
    """Temporary tables are in the log of sessions that log statements. They have no rows in it, but hide a table."""
    cursor = ddl.cursor
    if not cursor.take_any("table", "tables", "sequence"):
        return Changes()
    cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    names = [ddl.table(cursor)] if verb == "create" else _names(ddl)
    return Changes(temporary={(ddl.statement.thread, name): verb == "create" for name in names})


def _names(ddl: _Ddl) -> list[Key]:
    return [ddl.table(Cursor(part)) for part in split_by_comma(ddl.cursor.rest())]


def _moved_temporary(ddl: _Ddl, old: Key, new: Key) -> Changes:
    thread = ddl.statement.thread
    return Changes(temporary={(thread, old): False, (thread, new): True})


def _tables(ddl: _Ddl, verb: str, what: str, *, replaces: bool) -> Changes:
    cursor = ddl.cursor
    is_maybe = cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    if verb == "drop":
        names = [name for name in _names(ddl) if what != "sequence" or not _is_plain_table(ddl.known.table(name))]
        hidden = {(ddl.statement.thread, name): False for name in names if ddl.is_temporary(name)}
        return Changes({name: None for name in names if not ddl.is_temporary(name)}, temporary=hidden)
    error_code = ddl.statement.error_code
    if error_code and verb != "create":
        raise SchemaError(f"it ended with error {error_code}, nobody knows where")
    if verb == "rename":
        return _rename(ddl)
    table = ddl.table(cursor)
    if error_code:
        return Changes({table: None} if replaces else {})  # what was replaced is gone already
    if verb == "alter":
        return Changes() if what == "sequence" else _alter(ddl, table)
    if is_maybe and not replaces and ddl.known.table(table) is not None:
        return Changes()  # it is there, and stays as it is
    return Changes({table: _sequence(ddl, table) if what == "sequence" else _create(ddl, table)})


def _is_plain_table(state: State) -> bool:
    """Whether a table is none of a sequence: MariaDB logs a DROP SEQUENCE IF EXISTS that did nothing to it."""
    return isinstance(state, TableDefinition) and not is_sequence(state)


def _sequence(ddl: _Ddl, table: Key) -> State:
    return sequence_definition(table, ddl.cursor, ddl.known.charset_of(table[0]))


def _database(ddl: _Ddl, verb: str, *, replaces: bool) -> Changes:
    cursor = ddl.cursor
    is_maybe = cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    if verb == "drop":
        name, _ = ddl.known.key(cursor.take_name(), "")
        return Changes(dict.fromkeys(ddl.known.tables_in(name)), {name: None})
    options = ("default", "character", "char", "charset", "collate", "comment", "encryption", "read", "upgrade")
    is_unnamed = verb == "alter" and cursor.peek_word() in options
    name, _ = ddl.known.key(ddl.statement.db if is_unnamed else cursor.take_name(), "")
    of_server = ddl.statement.session.server_charset or ddl.known.charset_of("")
    charset = read_charset(cursor, of_server)
    if verb == "alter":
        return Changes(charsets={name: charset}) if charset is not None else Changes()
    if is_maybe and not replaces and ddl.known.has_database(name):
        return Changes()
    gone: dict[Key, State] = dict.fromkeys(ddl.known.tables_in(name))
    return Changes(gone, {name: charset or of_server})


def _drop_index(ddl: _Ddl) -> Changes:
    """``DROP INDEX `PRIMARY` ON t``: other indexes do not matter."""
    cursor = ddl.cursor
    cursor.take_words("if", "exists")
    if cursor.take_name().lower() != "primary" or not cursor.take_any("on"):
        return Changes()
    table = ddl.table(cursor)
    known = ddl.known.table(table)
    if not isinstance(known, TableDefinition) or ddl.is_temporary(table):
        return Changes()
    schema = msgspec.structs.replace(known.schema, primary_key=())
    return Changes({table: msgspec.structs.replace(known, schema=schema)})


def _rename(ddl: _Ddl) -> Changes:
    changes = Changes()
    changed = changes.tables
    for part in split_by_comma(ddl.cursor.rest()):
        cursor = Cursor(part)
        old = ddl.table(cursor)
        _skip_wait(cursor)
        if not cursor.take_any("to"):
            raise SchemaError("RENAME TABLE does not say what the new name is")
        new = ddl.table(cursor)
        if ddl.is_temporary(old):
            changes.temporary |= _moved_temporary(ddl, old, new).temporary
            continue
        state = changed[old] if old in changed else ddl.known.table(old)
        changed[old] = None
        changed[new] = _moved(ddl, state, new)
    return changes


def _moved(ddl: _Ddl, state: State, new: Key) -> State:
    """A table under a new name. What is not known may be a view, of which there are no rows."""
    if isinstance(state, TableDefinition):
        return state.named(new)
    return state or ddl.unknown("it is made of something that is not in the schema history")


def _create(ddl: _Ddl, table: Key) -> State:
    cursor = ddl.cursor
    elements = cursor if cursor.peek_word() == "like" else Cursor(cursor.take_parenthesized())
    if elements.take_any("like"):
        like = ddl.table(elements)
        return _moved(ddl, None if ddl.is_temporary(like) else ddl.known.table(like), table)
    options = before_partitioning(cursor.rest())
    if "select" in [token.text.lower() for token in options if token.kind is Kind.WORD]:
        raise SchemaError("the columns of the table are not all named")
    of_database = ddl.known.charset_of(table[0])
    charset = read_charset(Cursor(options), of_database) or of_database
    builder = TableBuilder(ddl.settings(charset))
    for part in split_by_comma(elements.rest()):
        builder.element(Cursor(part))
    return builder.definition(table)


def _alter(ddl: _Ddl, table: Key) -> Changes:
    cursor, known = ddl.cursor, ddl.known.table(table)
    _skip_wait(cursor)
    if cursor.take_words("convert", "partition"):
        cursor.take_name()
        if cursor.take_words("to", "table"):
            new = ddl.table(cursor)
            return Changes({new: _moved(ddl, known, new)})
        return Changes()
    if cursor.take_words("convert", "table"):
        return Changes({ddl.table(cursor): None})
    clauses = clauses_of(cursor)
    named = [name for name in (_new_name(ddl, clause) for clause in clauses) if name is not None]
    new = named[-1] if named else table
    if ddl.is_temporary(table):
        return _moved_temporary(ddl, table, new) if named else Changes()
    state = _altered(ddl, known, [clause for clause in clauses if not clause.is_at_end], new)
    if state is known:
        return Changes()
    return Changes({table: None, new: state} if named else {table: state})


def _altered(ddl: _Ddl, known: State, clauses: list[Cursor], new: Key) -> State:
    """The table after the clauses, in which no new name of it is left."""
    if known is None:
        return _moved(ddl, known, new) if not clauses else ddl.unknown("it alters what is not in the schema history")
    if isinstance(known, Unknown):
        return known
    builder = TableBuilder(ddl.settings(known.charset), known)
    of_database = ddl.known.charset_of(new[0])
    try:
        for clause in [clause for clause in clauses if not builder.set_options(clause, of_database)]:
            builder.alter(clause)
        if not builder.is_changed and known.schema.table.db == new[0] and known.schema.table.name == new[1]:
            return known
        return builder.definition(new)
    except SchemaError as error:
        return ddl.unknown(error.message)


def _skip_wait(cursor: Cursor) -> None:
    """MariaDB's ``WAIT n`` or ``NOWAIT`` behind the name of a table."""
    if cursor.take_any("wait", "nowait") == "wait":
        cursor.take()


def _new_name(ddl: _Ddl, cursor: Cursor) -> Key | None:
    if cursor.peek_word() != "rename" or cursor.peek_word(1) in ("column", "index", "key"):
        return None
    cursor.take()
    cursor.take_any("to", "as")
    cursor.take_symbol("=")
    name = ddl.table(cursor)
    cursor.rest()
    return name


def _touched(statement: Statement, known: Definitions) -> set[Key]:
    """Every table that a statement which cannot be followed may have changed or made."""
    try:
        tokens = statement.tokens
    except SchemaError:
        made = _MADE.match(statement.text)
        names = {known.key(statement.db, made[1] or made[2])} if made else set()
        return names | set(known.mentioned_in(statement.text))
    names = {known.key(statement.db, token.text) for token in tokens if token.kind is not Kind.OTHER}
    return _made(tokens, statement, known) | {key for key in names | _qualified(tokens, known) if known.table(key)}


def _qualified(tokens: list[Token], known: Definitions) -> set[Key]:
    dotted = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return {known.key(left.text, right.text) for left, dot, right in dotted if dot == Token(Kind.OTHER, ".")}


def _made(tokens: list[Token], statement: Statement, known: Definitions) -> set[Key]:
    """The table that a CREATE TABLE, which cannot be followed, makes."""
    cursor = Cursor(tokens)
    if not cursor.take_any("create"):
        return set()
    cursor.take_words("or", "replace")
    if not cursor.take_any("table"):
        return set()
    cursor.take_words("if", "not", "exists")
    try:
        return {known.key(*cursor.take_table(statement.db))}
    except SchemaError:
        return set()
