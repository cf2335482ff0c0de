"""What a statement in the log means for reading: transaction control, DDL, or rows we cannot see."""

from __future__ import annotations

import logging
from enum import Enum

from deltaforge.core.errors import SchemaError, SourceError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.position import MysqlPosition
from deltaforge.sources.mysql.ddl_tokens import Cursor
from deltaforge.sources.mysql.gate import Gate
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.maker import EventMaker, Place
from deltaforge.sources.mysql.statement import Kind, Statement
from deltaforge.sources.mysql.tables import Tables

log = logging.getLogger(__name__)


class Meaning(Enum):
    """Kinds of statements."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    ROLLBACK_TO = "rollback to"
    TRUNCATE = "truncate"
    ROWS = "rows"
    XA_BEGIN = "xa begin"
    XA_ROLLBACK = "xa rollback"
    XA = "xa"
    UNREAD = "cannot be read"
    OTHER = "other"


EXACT = {"BEGIN": Meaning.BEGIN, "COMMIT": Meaning.COMMIT, "ROLLBACK": Meaning.ROLLBACK}
"""Texts that servers write by themselves and that need no tokens."""


def meaning_of(statement: Statement) -> Meaning:
    """What kind of statement this is."""
    try:
        words = statement.words
    except SchemaError:
        return Meaning.UNREAD
    if not words:
        return Meaning.OTHER
    if words[0] == "rollback" and "to" in words[1:3]:
        return Meaning.ROLLBACK_TO
    return _MEANINGS.get(" ".join(words[:2])) or _MEANINGS.get(words[0], Meaning.OTHER)


_MEANINGS = {
    "begin": Meaning.BEGIN,
    "start transaction": Meaning.BEGIN,
    "commit": Meaning.COMMIT,
    "rollback": Meaning.ROLLBACK,
    "savepoint": Meaning.SAVEPOINT,
    "truncate": Meaning.TRUNCATE,
    "xa": Meaning.XA,
    "xa start": Meaning.XA_BEGIN,
    "xa begin": Meaning.XA_BEGIN,
    "xa rollback": Meaning.XA_ROLLBACK,
    **dict.fromkeys(("insert", "update", "delete", "replace", "load"), Meaning.ROWS),
}


def truncated_table(statement: Statement) -> tuple[str, str]:
    """Database and table of a TRUNCATE.

    Raises:
        SchemaError: It cannot be read.
    """
    cursor = Cursor(statement.tokens)
    cursor.take_words("truncate")
    cursor.take_words("table")
    return cursor.take_table(statement.db)


def changed_table(statement: Statement) -> tuple[str, str] | None:
    """Database and table of a statement that changes rows; None if it cannot be read."""
    cursor = Cursor(statement.tokens)
    verb = cursor.take().text.lower()
    while not cursor.is_at_end:
        if cursor.take_any("into", "from") or (
            verb == "update" and cursor.peek_word() not in ("low_priority", "ignore")
        ):
            return cursor.take_table(statement.db)
        cursor.take()
    return None


def savepoint_name(statement: Statement) -> str:
    """The name in SAVEPOINT or ROLLBACK TO, which stands at the end."""
    last = statement.tokens[-1]
    if last.kind not in (Kind.WORD, Kind.QUOTED):
        raise SchemaError("a savepoint without a name")
    return last.text.lower()


class Statements:
    """Acts on the statements of a log that are no transaction control."""

    def __init__(self, tables: Tables, history: SchemaHistory, maker: EventMaker, gate: Gate) -> None:
        self._tables = tables
        self._history = history
        self._maker = maker
        self._gate = gate

    def act(self, meaning: Meaning, statement: Statement, place: Place) -> ChangeEvent | None:
        """The event of a statement: that of a TRUNCATE of a captured table; others have none.

        Raises:
            SourceError, SchemaError: It may change rows that are not in the log, or definitions in a way that is not
                understood, and no operator let it pass.
        """
        position = MysqlPosition(place.file, place.pos)
        try:
            return self._event(meaning, statement, place, position)
        except (SourceError, SchemaError) as error:
            content = f"{statement.db}\0{statement.text}".encode("utf-8", "surrogateescape")
            self._gate.refuse(error, position, content, statement.outline)
            return None

    def _event(
        self, meaning: Meaning, statement: Statement, place: Place, position: MysqlPosition
    ) -> ChangeEvent | None:
        if meaning is Meaning.XA_ROLLBACK:
            log.error("an XA transaction was rolled back after its rows were delivered with its prepare")
        elif meaning is Meaning.ROWS:
            self._refuse_rows(statement)
        elif meaning is Meaning.TRUNCATE and statement.error_code == 0:
            named = truncated_table(statement)
            if self._tables.is_captured(*named):
                return self._maker.truncate(place, *named, statement.printable)
        elif meaning is Meaning.OTHER:
            self._tables.forget_completed()
            if not self._history.is_empty:
                self._history.apply(statement, position)
        return None

    def _refuse_rows(self, statement: Statement) -> None:
        named = changed_table(statement)
        if named is not None and not self._tables.is_captured(*named):
            return
        what = f"rows of {'.'.join(named)}" if named else f"rows in database {statement.db}"
        raise SourceError(
            f"{what} were logged as a statement, not as rows",
            kind="incompatible",
            hint="set binlog_format=ROW for every session",
            tables=[".".join(named)] if named else [],
        )
