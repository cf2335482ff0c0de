"""Whether a statement that was logged in place of rows may have changed a captured table.

The statement names tables; the catalog says what their triggers, views, routines and foreign keys reach from there. The
catalog is that of now, not of when the statement ran: what a statement names and is not there any more cannot be known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from deltaforge.core.errors import SchemaError, SourceError
from deltaforge.sources.mysql.catalog import SYSTEM_DATABASES
from deltaforge.sources.mysql.definitions import Key
from deltaforge.sources.mysql.functions import BUILT_IN
from deltaforge.sources.mysql.made import Made, created_table
from deltaforge.sources.mysql.named import Named, named_in
from deltaforge.sources.mysql.objects import Body, Objects
from deltaforge.sources.mysql.statement import Dialect, Statement
from deltaforge.sources.mysql.tokens import Kind

log = logging.getLogger(__name__)

_HINT = "set binlog_format=ROW for every session"
_RIGHTS_HINT = "grant TRIGGER, SHOW VIEW and SELECT on *.* to the user of the source, so that it can be known"


class Reach:
    """Judges statements, with the catalog as it was when the first of them had to be judged.

    Args:
        load: Reads the catalog of now.
        captured: Whether ``(db, table)`` is captured.
    """

    def __init__(self, load: Callable[[Dialect], Objects], captured: Callable[[str, str], bool]) -> None:
        self._load = load
        self._captured = captured
        self._objects: Objects | None = None
        self._made = Made()

    def note(self, statement: Statement) -> None:
        """A DDL statement: what is known of the catalog may be older than it."""
        try:
            self._made.note(statement)
            is_known = _made_only(statement)
        except SchemaError:
            self._made.forget()
            is_known = False
        if not is_known:
            self._objects = None

    def is_temporary(self, table: Key, thread: int) -> bool:
        """Whether a connection means a temporary table of its own by this name, as far as the log was read."""
        return self._made.is_temporary(table, thread)

    def check(self, statement: Statement) -> None:
        """Return if the statement, which changes rows or fills a table that it makes, has changed no captured table.

        Raises:
            SourceError: It may have changed one, or it cannot be known; or the catalog cannot be read.
            SchemaError: The statement cannot be read.
        """
        named = named_in(statement.tokens, statement.db)
        filled = filled_table(statement)
        if filled is not None:
            named.changed.add(filled)
        named.changed = {table for table in named.changed if not self.is_temporary(table, statement.thread)}
        direct = {table for table in named.changed if self._captured(*table)}
        if direct:
            raise _refusal(direct)
        is_fresh = self._objects is None
        walk = self._walk(statement, named)
        if walk.unknown and not is_fresh:  # the catalog that is known may be too old
            self._objects = None
            walk = self._walk(statement, named)
        if walk.reached:
            raise _refusal(walk.reached)
        if walk.unknown:
            raise SourceError(
                f"rows were logged as a statement, and which rows it changed cannot be known: {walk.unknown[0]}",
                kind="incompatible",
                hint=f"{_HINT}; {_RIGHTS_HINT}" if walk.is_without_rights else _HINT,
                tables=sorted(".".join(table) for table in named.changed),
            )

    def _walk(self, statement: Statement, named: Named) -> _Walk:
        if self._objects is None:
            self._objects = self._load(statement.dialect)
        walk = _Walk(self._objects, self._captured, self._made)
        walk.go(named, statement.db)
        return walk


class _Walk:
    """From the names in one statement to everything that they reach.

    Attributes:
        reached: Captured tables.
        unknown: What cannot be known.
        is_without_rights: Whether that is for want of rights.
    """

    def __init__(self, objects: Objects, captured: Callable[[str, str], bool], made: Made) -> None:
        self._objects = objects
        self._captured = captured
        self._made = made
        self._seen: set[tuple[str, Key]] = set()
        self.reached: set[Key] = set()
        self.unknown: list[str] = []
        self.is_without_rights = False

    def go(self, named: Named, db: str) -> None:
        """Follow all names."""
        name = self._objects.name
        if named.has_dynamic:
            self.unknown.append("it runs a text that is not in the log")
        for table in named.changed:
            self._change(name(table), is_expression=table in named.expressions)
        for table in named.referred:
            self._follow(name(table))
        called = {key for key in named.called if key[0] or (db, key[1]) not in named.expressions}
        for owner, routine in called:
            self._call(owner, routine, name((db, ""))[0])
        self._read({word.lower() for word in named.words}, name((db, ""))[0])

    def _is_new(self, kind: str, key: Key) -> bool:
        is_new = (kind, key) not in self._seen
        self._seen.add((kind, key))
        return is_new

    def _change(self, table: Key, *, is_expression: bool = False) -> None:
        objects, made = self._objects, self._made
        if self._captured(*table):
            self.reached.add(table)
        elif is_expression or table[0].lower() in SYSTEM_DATABASES or not self._is_new("change", table):
            return
        elif table in made.views or (table in objects.views and table not in made.tables):
            self._view(table, is_changed=True)
        elif table in made.tables:
            self._run_all(made.triggers.get(table, ()), f"a trigger of {'.'.join(table)}")
        elif table in objects.tables:
            if not objects.has_right("TRIGGER", table[0]):
                self._hidden(f"the triggers of {'.'.join(table)} are hidden from the user")
            triggers = (*objects.triggers.get(table, ()), *made.triggers.get(table, ()))
            self._run_all(triggers, f"a trigger of {'.'.join(table)}")
        else:
            self.unknown.append(f"{'.'.join(table)} is not in the catalog now")

    def _follow(self, table: Key) -> None:
        """Rows of other tables that go with those of a table; no triggers run for them."""
        for child in {*self._objects.children.get(table, ()), *self._made.children.get(table, ())}:
            if self._captured(*child):
                self.reached.add(child)
            elif self._is_new("follow", child):
                self._follow(child)

    def _call(self, owner: str, routine: str, db: str) -> None:
        objects, key = self._objects, (self._objects.name((owner, ""))[0] or db, routine.lower())
        if key[0] == "sys" or not self._is_new("call", key):
            return
        bodies = (*self._made.routines.get(key, ()), *objects.routines.get(key, ()))
        if not bodies and (owner or key[1] not in BUILT_IN):
            what = f"{'.'.join(key)} is no routine in the catalog now"
            self.unknown.append(what) if objects.has_right("SELECT", "") else self._hidden(what)
        self._run_all(bodies, f"routine {'.'.join(key)}")

    def _read(self, words: set[str], db: str) -> None:
        """Views that are read may call functions."""
        for view in {*self._objects.views, *self._made.views}:
            if view[1].lower() in words and (view[0] == db or view[0].lower() in words):
                self._view(view, is_changed=False)

    def _view(self, view: Key, *, is_changed: bool) -> None:
        body = self._made.views.get(view) or self._objects.views[view]
        if is_changed and body.tokens is not None:
            names: set[Key] = set()
            if view in self._made.views:  # as it was written; the catalog has each name with its database
                names |= {(body.db, token.text) for token in body.tokens if token.kind is not Kind.OTHER}
            parts = zip(body.tokens, body.tokens[1:], body.tokens[2:], strict=False)
            names |= {(left.text, right.text) for left, dot, right in parts if dot.text == "."}
            for name in names:
                table = self._objects.name(name)
                if self._captured(*table) or self._is_known(table):
                    self._change(table)
                    self._follow(table)
        if self._is_new("view", view):
            self._run(body, f"view {'.'.join(view)}")

    def _is_known(self, table: Key) -> bool:
        objects, made = self._objects, self._made
        return any(table in known for known in (objects.tables, objects.views, made.tables, made.views))

    def _run_all(self, bodies: Iterable[Body], what: str) -> None:
        for body in bodies:
            self._run(body, what)

    def _run(self, body: Body, what: str) -> None:
        if body.tokens is None:
            self._hidden(f"the text of {what} is hidden from the user, or cannot be read")
            return
        try:
            self.go(named_in(body.tokens, body.db), body.db)
        except SchemaError as error:
            self.unknown.append(f"{what} cannot be read: {error.message}")

    def _hidden(self, what: str) -> None:
        self.unknown.append(what)
        self.is_without_rights = True


def fills_table(statement: Statement) -> bool:
    """Whether the statement is a CREATE TABLE whose rows are those of a query in it."""
    return created_table(statement) is not None and "select" in _words(statement)


def filled_table(statement: Statement) -> Key | None:
    """The table that others see and that a CREATE TABLE fills with the rows of a query."""
    created = created_table(statement)
    return created[0] if created is not None and not created[1] and "select" in _words(statement) else None


def _made_only(statement: Statement) -> bool:
    """Whether all that a statement changes is known from it, so that the catalog need not be read again."""
    head = [token.text.lower() if token.kind is Kind.WORD else "" for token in statement.tokens[:3]]
    made = created_table(statement)
    return (made is not None and made[2]) or head[:2] in (["drop", "table"], ["drop", "temporary"])


def _words(statement: Statement) -> set[str]:
    return {token.text.lower() for token in statement.tokens if token.kind is Kind.WORD}


def _refusal(tables: set[Key]) -> SourceError:
    names = sorted(".".join(table) for table in tables)
    return SourceError(
        f"rows were logged as a statement, not as rows, and it may change {', '.join(names)}",
        kind="incompatible",
        hint=_HINT,
        tables=names,
    )
