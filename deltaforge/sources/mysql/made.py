"""What statements of the log have made since the reading began: known as it was then, also when it is gone now."""

from __future__ import annotations

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.definitions import Key
from deltaforge.sources.mysql.objects import Body
from deltaforge.sources.mysql.statement import Statement
from deltaforge.sources.mysql.tokens import Kind

_MAX = 10_000


class Made:
    """Tables, with their triggers and what refers to them, views and routines, by the names that statements gave them.

    Attributes:
        tables: Made without a doubt, so that their triggers are all known.
        triggers: By table, also of tables that are not in ``tables``.
        views: By name.
        routines: By database and name in lower case.
        children: By table, those whose rows may follow its rows by a foreign key.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing is known any more."""
        self.tables: set[Key] = set()
        self.triggers: dict[Key, list[Body]] = {}
        self.views: dict[Key, Body] = {}
        self.routines: dict[Key, list[Body]] = {}
        self.children: dict[Key, set[Key]] = {}
        self._temporary: set[tuple[int, Key]] = set()

    def is_temporary(self, table: Key, thread: int) -> bool:
        """Whether a connection means a temporary table of its own by this name."""
        return (thread, table) in self._temporary

    def note(self, statement: Statement) -> None:
        """A statement that may make, rename or drop something.

        Raises:
            SchemaError: It cannot be read.
        """
        if len(self.tables) + len(self.triggers) + len(self.views) + len(self.routines) + len(self._temporary) > _MAX:
            self.forget()
        cursor = Cursor(statement.tokens)
        verb = cursor.take_any("create", "alter", "rename", "drop")
        if verb == "create":
            self._create(statement, cursor)
        elif verb == "drop":
            cursor.take_words("temporary")
            if cursor.take_any("table", "tables"):
                cursor.take_words("if", "exists")
                for part in split_by_comma(cursor.rest()):
                    self._temporary.discard((statement.thread, Cursor(part).take_table(statement.db)))
        elif verb == "rename" and cursor.take_any("table", "tables"):
            for part in split_by_comma(cursor.rest()):
                self._rename(Cursor(part), statement.db)
        elif verb == "alter" and cursor.take_words("table"):
            self._refer(statement, cursor.take_table(statement.db))

    def _create(self, statement: Statement, cursor: Cursor) -> None:
        created = created_table(statement)
        if created is not None:
            table, is_temporary, is_certain = created
            if is_temporary:
                self._temporary.add((statement.thread, table))
            elif is_certain:
                self.tables.add(table)
                self.triggers.pop(table, None)
                self.views.pop(table, None)
            self._refer(statement, table)
            return
        while not cursor.is_at_end:
            what = cursor.take()
            if what.kind is Kind.WORD and what.text.lower() in ("trigger", "view", "function", "procedure"):
                cursor.take_words("if", "not", "exists")
                name = cursor.take_table(statement.db)
                self._put(what.text.lower(), name, cursor, statement.db)
                return

    def _put(self, what: str, name: Key, cursor: Cursor, db: str) -> None:
        if what == "trigger":
            _go_behind(cursor, "on")
            table = cursor.take_table(db)
            _go_behind(cursor, "row")
            self.triggers.setdefault(table, []).append(Body(cursor.rest(), name[0]))
        elif what == "view":
            _go_behind(cursor, "as")
            self.tables.discard(name)
            self.views[name] = Body(cursor.rest(), db)
        else:
            self.routines.setdefault((name[0], name[1].lower()), []).append(Body(cursor.rest(), name[0]))

    def _rename(self, cursor: Cursor, db: str) -> None:
        old = cursor.take_table(db)
        _go_behind(cursor, "to")
        new = cursor.take_table(db)
        if old in self.tables:
            self.tables.discard(old)
            self.tables.add(new)
        if old in self.triggers:
            self.triggers[new] = self.triggers.pop(old)
        if old in self.views:
            self.views[new] = self.views.pop(old)
        if old in self.children:
            self.children[new] = self.children.pop(old)

    def _refer(self, statement: Statement, table: Key) -> None:
        """Note the foreign keys of a table along which rows may change."""
        words = [token.text.lower() if token.kind is Kind.WORD else "" for token in statement.tokens]
        for at, word in enumerate(words):
            if word == "references" and ("cascade" in words[at:] or "set" in words[at:]):
                parent = Cursor(statement.tokens[at + 1 :]).take_table(statement.db)
                self.children.setdefault(parent, set()).add(table)


def created_table(statement: Statement) -> tuple[Key, bool, bool] | None:
    """The table of a CREATE TABLE, whether it is a temporary one, and whether it was not there before for certain.

    Raises:
        SchemaError: It has no name.
    """
    cursor = Cursor(statement.tokens)
    if not cursor.take_words("create"):
        return None
    cursor.take_words("or", "replace")
    is_temporary = cursor.take_words("temporary")
    if not cursor.take_words("table"):
        return None
    is_certain = not cursor.take_words("if", "not", "exists")
    return cursor.take_table(statement.db), is_temporary, is_certain


def _go_behind(cursor: Cursor, word: str) -> None:
    while not cursor.take_words(word):
        if cursor.is_at_end:
            raise SchemaError(f"a DDL statement has no {word.upper()}")
        cursor.take()
