"""What a statement in the log means for reading: transaction control, DDL, or rows we cannot see."""

from __future__ import annotations

import re
from enum import Enum

_NOT_CODE = re.compile(
    r"""('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`)|/\*M?!\d*(.*?)\*/|/\*.*?\*/|--(?=\s)[^\n]*|\#[^\n]*""",
    re.DOTALL,
)
_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_TABLE = rf"({_NAME})(?:\s*\.\s*({_NAME}))?"
_TRUNCATE = re.compile(rf"truncate\s+(?:table\s+)?{_TABLE}", re.IGNORECASE)
_ROWS = re.compile(
    rf"(?:insert|replace)\b.*?\binto\s+{_TABLE}|update\s+(?:low_priority\s+|ignore\s+)*{_TABLE}"
    rf"|delete\s+.*?\bfrom\s+{_TABLE}",
    re.IGNORECASE | re.DOTALL,
)


class Meaning(Enum):
    """Kinds of statements."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    ROLLBACK_TO = "rollback to"
    TRUNCATE = "truncate"
    ROWS = "rows"
    XA_ROLLBACK = "xa rollback"
    XA = "xa"
    OTHER = "other"


def plain(sql: str) -> str:
    """The statement without comments; version comments count as code."""
    return _NOT_CODE.sub(_code_of, sql).strip().rstrip(";").strip()


def _code_of(match: re.Match[str]) -> str:
    quoted, versioned = match.groups()
    return quoted if quoted is not None else f" {versioned} " if versioned is not None else " "


def meaning_of(sql: str) -> Meaning:
    """What kind of statement this (:func:`plain`) text is."""
    words = sql[:64].lower().split()
    first = words[0] if words else ""
    if first == "begin" or words[:2] == ["start", "transaction"]:
        return Meaning.BEGIN
    if first == "commit":
        return Meaning.COMMIT
    if first == "rollback":
        return Meaning.ROLLBACK_TO if "to" in words else Meaning.ROLLBACK
    if first == "savepoint":
        return Meaning.SAVEPOINT
    if first == "truncate":
        return Meaning.TRUNCATE
    if first == "xa":
        return Meaning.XA_ROLLBACK if words[1:2] == ["rollback"] else Meaning.XA
    if first in ("insert", "update", "delete", "replace", "load"):
        return Meaning.ROWS
    return Meaning.OTHER


def truncated_table(sql: str, db: str) -> tuple[str, str] | None:
    """Database and table of a TRUNCATE; None if it cannot be read."""
    return _named(_TRUNCATE.match(sql), db)


def changed_table(sql: str, db: str) -> tuple[str, str] | None:
    """Database and table of a statement that changes rows; None if it cannot be read."""
    return _named(_ROWS.match(sql), db)


def savepoint_name(sql: str) -> str:
    """The name in SAVEPOINT or ROLLBACK TO."""
    return _unquoted(sql.rsplit(maxsplit=1)[-1]).lower()


def _named(match: re.Match[str] | None, db: str) -> tuple[str, str] | None:
    if match is None:
        return None
    names = [_unquoted(group) for group in match.groups() if group]
    return (names[0], names[1]) if len(names) > 1 else (db, names[0])


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
