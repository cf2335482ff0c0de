"""What a statement in the log means for reading: transaction control, DDL, or rows we cannot see."""

from __future__ import annotations

from enum import Enum

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.ddl_tokens import Cursor
from deltaforge.sources.mysql.statement import Kind, Statement


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
    OTHER = "other"


EXACT = {"BEGIN": Meaning.BEGIN, "COMMIT": Meaning.COMMIT, "ROLLBACK": Meaning.ROLLBACK}
"""Texts that servers write by themselves and that need no tokens."""


def meaning_of(statement: Statement) -> Meaning:
    """What kind of statement this is.

    Raises:
        SchemaError: It cannot be read.
    """
    words = statement.words
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
