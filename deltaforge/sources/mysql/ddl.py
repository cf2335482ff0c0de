"""What a DDL statement does to the captured tables, as far as the schema history understands it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.statements import plain

if TYPE_CHECKING:
    from deltaforge.sources.mysql.history import TableDefinition

REMEDY = "set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again"

Tables = Mapping[tuple[str, str], "TableDefinition"]
Changes = dict[tuple[str, str], "TableDefinition | None"]

_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_TABLE = re.compile(rf"({_NAME})(?:\s*\.\s*({_NAME}))?")
_HEAD = re.compile(
    r"(?P<verb>create|alter|drop|rename)\s+(?:or\s+replace\s+)?(?:temporary\s+)?(?:online\s+|offline\s+|ignore\s+)?"
    r"(?P<what>tables?|database|schema|\w+)\s*(?:if\s+(?:not\s+)?exists\s+)?",
    re.IGNORECASE,
)


def apply_ddl(sql: str, db: str, tables: Tables, captured: Callable[[str, str], bool]) -> Changes:
    """The definitions that a statement changes; None for a table that is gone.

    Args:
        sql: One statement.
        db: Its default database.
        tables: The definitions before it.
        captured: Whether ``(db, table)`` is captured.

    Raises:
        SchemaError: It changes a captured table in a way that is not understood.
    """
    statement = plain(sql)
    head = _HEAD.match(statement)
    if head is None or re.match(r"(?:create|drop)\s+temporary", statement, re.IGNORECASE):
        return {}
    verb, what, rest = head["verb"].lower(), head["what"].lower(), statement[head.end() :]
    if what in ("database", "schema"):
        return {key: None for key in tables if verb == "drop" and key[0] == _first(rest, db)[1]}
    if what not in ("table", "tables"):
        return {}  # indexes, views, routines, users: no rows change their form
    if verb == "drop":
        names = [_first(part, db) for part in rest.split(",")]
        return {key: None for key in names if key in tables}
    named = _first(rest, db)
    is_touched = named in tables or captured(*named)
    if verb == "rename":
        is_touched = is_touched or any(
            captured(*_first(part, db)) for part in re.split(r",|\bto\b", rest, flags=re.IGNORECASE)
        )
    if not is_touched:
        return {}
    raise SchemaError(
        f"{verb} table {'.'.join(named)} changes a captured table, and the log has no row metadata", hint=REMEDY
    )


def _first(text: str, db: str) -> tuple[str, str]:
    match = _TABLE.match(text.strip())
    if match is None:
        raise SchemaError("a table name in a DDL statement cannot be read", hint=REMEDY)
    left, right = _unquoted(match[1]), match[2]
    return (left, _unquoted(right)) if right else (db, left)


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
