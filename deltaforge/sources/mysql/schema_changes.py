"""Statements that define captured tables and their databases, as notices with what the tables are behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from deltaforge.core.errors import SchemaError
from deltaforge.core.event import DefinitionChange, TableChange
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import TableId
from deltaforge.sources.base import SourceContext
from deltaforge.sources.mysql.catalog import Catalog
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.definitions import Definitions, Key, State, TableDefinition
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.server import ServerSettings
from deltaforge.sources.mysql.statement import Statement
from deltaforge.sources.mysql.tables import Tables

HISTORY_FILE = "schema-changes.jsonl"
_OF_INDEXES = ("unique", "fulltext", "spatial", "vector")


class Subject(NamedTuple):
    """What a DDL statement is about: tables by the names that they have behind it, or a database.

    ``is_conditional``: it says IF EXISTS or IF NOT EXISTS.
    """

    verb: Literal["create", "alter", "drop", "rename", "index"]
    database: str
    tables: tuple[Key, ...]
    before: tuple[Key, ...]
    is_conditional: bool = False

    @property
    def is_database(self) -> bool:
        """Whether it is about a database as a whole."""
        return not self.tables


class SchemaChanges:
    """Follows the definitions of all tables by their DDL, from what the catalog said when that began.

    The log may be read again: a statement has the same notices then. A table whose definition is not known, since it is
    older than what the catalog said or its DDL is not understood, has none in them.

    Args:
        state_dir: Of the source.
        captures: Whether ``(db, table)`` is captured.
        captures_of: Whether a table of a database can be.
    """

    def __init__(
        self, state_dir: Path, captures: Callable[[str, str], bool], captures_of: Callable[[str], bool]
    ) -> None:
        self._captures, self._captures_of = captures, captures_of
        self._history = SchemaHistory(state_dir / HISTORY_FILE, lambda *_: False)

    def arrive(
        self,
        server: ServerSettings,
        position: MysqlPosition | None,
        in_catalog: Callable[[], tuple[Catalog, MysqlPosition]],
    ) -> None:
        """The log of this server is read from now on.

        Args:
            server: Whose it is.
            position: Where, in terms of the server that it is of.
            in_catalog: Gives what the catalog says, and where in the log that is valid; asked if nothing is known.
        """
        self._history.arrive(server.uuid, position, folds_names=server.folds_names)
        if self._history.is_empty:
            self._history.record(*in_catalog())

    def of(self, statement: Statement, position: MysqlPosition) -> list[DefinitionChange]:
        """What a statement that ends at ``position`` means for captured tables, as many notices as it has."""
        if statement.error_code:
            return []
        before = self._history.known_before(position)  # until the statement is applied
        try:
            subject = subject_of(statement, before)
        except SchemaError:
            subject = None
        is_there = subject is not None and any(before.table(key) is not None for key in subject.tables)
        self._history.apply(statement, position)
        if subject is None:
            return []
        if subject.is_database:
            is_ours = bool(subject.database) and self._captures_of(subject.database)
            name = "" if subject.verb == "alter" else None
            return [DefinitionChange(subject.database, name, statement.bare)] if is_ours else []
        ours = [key for key in (*subject.tables, *subject.before) if self._captures(*key)]
        if not ours:
            return []
        if subject.verb == "drop":
            return [_dropped(key, subject) for key in subject.tables if key in ours]
        if subject.verb == "create" and subject.is_conditional and is_there:
            return [DefinitionChange(subject.database, "", statement.bare)]
        after = self._history.known_at(position)
        texts = _renames(statement.bare) if subject.verb == "rename" else [statement.bare]
        if len(texts) != len(subject.tables):
            return [_changed(subject, subject.tables, statement.bare, after)]
        return [_changed(subject, (key,), text, after) for key, text in zip(subject.tables, texts, strict=True)]


def schema_changes(context: SourceContext, tables: Tables) -> SchemaChanges | None:
    """What follows the definitions of captured tables, if a sink asks for it."""
    if "definition" not in context.asked:
        return None
    return SchemaChanges(context.state_dir, tables.is_captured, tables.captures_of)


def _dropped(key: Key, subject: Subject) -> DefinitionChange:
    """Each table that a statement drops has a notice of its own."""
    names = ",".join(name for _, name in subject.tables)
    change = TableChange("DROP", TableId(key[0], None, key[1]))
    words = "DROP TABLE IF EXISTS" if subject.is_conditional else "DROP TABLE"
    return DefinitionChange(key[0], names, f"{words} {_quoted(key[0])}.{_quoted(key[1])}", (change,))


def _renames(text: str) -> list[str]:
    """A statement that renames tables as one for each of them."""
    parts = _RENAME.match(text)
    if parts is None:
        return []
    return [parts["words"] + clause.strip() for clause in _COMMA.split(parts["clauses"])]


_RENAME = re.compile(r"(?P<words>rename\s+tables?\s+(?:if\s+exists\s+)?)(?P<clauses>.*)", re.IGNORECASE | re.DOTALL)
_COMMA = re.compile(r",(?=(?:[^`]*`[^`]*`)*[^`]*$)")


def _changed(subject: Subject, tables: Sequence[Key], ddl: str, after: Callable[[Key], State]) -> DefinitionChange:
    database = subject.tables[0][0]
    if subject.verb == "index":
        return DefinitionChange(database, "", ddl)
    what: Literal["CREATE", "ALTER"] = "CREATE" if subject.verb == "create" else "ALTER"
    changes = []
    for key in tables:
        known = after(key)
        if isinstance(known, TableDefinition):
            columns = zip(known.schema.columns, known.columns, strict=True)
            charsets = tuple(None if column.type == "json" else kind.charset for column, kind in columns)
            changes.append(TableChange(what, TableId(key[0], None, key[1]), known.schema, known.charset, charsets))
    names = ",".join(name for _, name in subject.tables)
    return DefinitionChange(database, names, ddl, tuple(changes))


def subject_of(statement: Statement, known: Definitions) -> Subject | None:
    """What a statement is about; None: no table that has rows in the log, and no database.

    Raises:
        SchemaError: It cannot be read.
    """
    cursor = Cursor(statement.tokens)
    verb = cursor.take_any("create", "alter", "drop", "rename")
    cursor.take_words("or", "replace")
    while cursor.take_any("online", "offline", "ignore", *_OF_INDEXES):
        continue
    what = cursor.take_any("table", "tables", "index", "database", "schema") if verb else ""
    is_conditional = cursor.take_words("if", "exists") or cursor.take_words("if", "not", "exists")
    if what in ("database", "schema"):
        name = "" if cursor.is_at_end else cursor.take_name()
        is_unnamed = verb == "alter" and name.lower() in ("default", "character", "charset", "collate")
        database, _ = known.key(statement.db if is_unnamed else name, "")
        return Subject("alter" if verb == "alter" else "create", database, (), ())
    names = _names(statement, known, cursor, verb) if what in ("table", "tables") else []
    if what == "index":
        while not cursor.is_at_end and not cursor.take_any("on"):
            cursor.take()
        names = [] if cursor.is_at_end else [(known.key(*cursor.take_table(statement.db)),) * 2]
    names = [pair for pair in names if not known.is_temporary(statement.thread, pair[0])]
    if not names:
        return None
    before, after = zip(*names, strict=True)
    kind = "index" if what == "index" else verb
    return Subject(kind, after[0][0], tuple(after), tuple(before), is_conditional)  # type: ignore[arg-type] # one of the words above


def _names(statement: Statement, known: Definitions, cursor: Cursor, verb: str) -> list[tuple[Key, Key]]:
    """The tables of a statement, by their names before and behind it."""
    if verb == "drop":
        parts = [Cursor(part) for part in split_by_comma(cursor.rest())]
        return [(known.key(*part.take_table(statement.db)),) * 2 for part in parts]
    if verb == "rename":
        pairs = []
        for part in split_by_comma(cursor.rest()):
            one = Cursor(part)
            old = known.key(*one.take_table(statement.db))
            while not one.is_at_end and not one.take_any("to"):
                one.take()
            pairs.append((old, known.key(*one.take_table(statement.db))))
        return pairs
    table = known.key(*cursor.take_table(statement.db))
    return [(table, _renamed(statement, known, cursor) or table if verb == "alter" else table)]


def _renamed(statement: Statement, known: Definitions, cursor: Cursor) -> Key | None:
    """The new name in an ALTER TABLE, if it has one."""
    found = None
    for part in split_by_comma(cursor.rest()):
        clause = Cursor(part)
        if clause.peek_word() == "rename" and clause.peek_word(1) not in ("column", "index", "key"):
            clause.take()
            clause.take_any("to", "as")
            clause.take_symbol("=")
            found = known.key(*clause.take_table(statement.db))
    return found


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
