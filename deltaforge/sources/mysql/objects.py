"""What else a change of rows runs: the triggers, views, routines and foreign keys in the catalog of a server."""

from __future__ import annotations

from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, StatusVars
from deltaforge.sources.mysql.client import execute
from deltaforge.sources.mysql.definitions import Key
from deltaforge.sources.mysql.statement import Dialect, Statement
from deltaforge.sources.mysql.tokens import Token

_TRIGGERS = """
select event_object_schema, event_object_table, trigger_schema, action_statement, sql_mode
  from information_schema.triggers
"""
_ROUTINES = """
select routine_schema, routine_name, routine_definition, sql_mode from information_schema.routines
 where routine_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')
"""
_VIEWS = """
select table_schema, table_name, view_definition from information_schema.views
 where table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')
"""
_CASCADES = """
select unique_constraint_schema, referenced_table_name, constraint_schema, table_name
  from information_schema.referential_constraints
 where update_rule not in ('RESTRICT', 'NO ACTION') or delete_rule not in ('RESTRICT', 'NO ACTION')
"""
_TABLES = "select table_schema, table_name from information_schema.tables where table_type <> 'VIEW'"
_RIGHTS = "select privilege_type from information_schema.user_privileges where grantee = %s"
_RIGHTS_OF_DATABASES = """
select table_schema, privilege_type from information_schema.schema_privileges where grantee = %s
"""


class Body(msgspec.Struct, frozen=True):
    """What an object runs: the tokens of its text in the catalog, None if the user may not see it; and its database."""

    tokens: list[Token] | None
    db: str


class Objects(msgspec.Struct, frozen=True):
    """The objects of a server now. Names are as :meth:`name` gives them.

    Attributes:
        tables: Base tables.
        triggers: By table.
        views: By name.
        routines: Procedures and functions, by name; one name may be of both.
        children: By table, those whose rows follow its rows by a foreign key.
        rights: Of the user in all databases.
        rights_of: Of the user, by database.
        folds_names: Whether the server holds names of tables and databases in lower case.
    """

    tables: set[Key]
    triggers: dict[Key, list[Body]]
    views: dict[Key, Body]
    routines: dict[Key, list[Body]]
    children: dict[Key, set[Key]]
    rights: set[str]
    rights_of: dict[str, set[str]]
    folds_names: bool

    def name(self, table: Key) -> Key:
        """A name as it is compared."""
        return (table[0].lower(), table[1].lower()) if self.folds_names else table

    def has_right(self, right: str, db: str) -> bool:
        """Whether the user has a right in a whole database."""
        return right in self.rights or right in self.rights_of.get(db, ())


def load_objects(connection: Connection[Any], dialect: Dialect) -> Objects:
    """All of them, as far as the user of the connection may see them.

    Raises:
        SourceError: The catalog cannot be read.
    """
    ((folds, user),) = execute(connection, "select @@global.lower_case_table_names <> 0, current_user()")
    name, _, host = str(user).rpartition("@")
    grantee = (f"'{name}'@'{host}'",)
    rights_of: dict[str, set[str]] = {}
    for db, right in execute(connection, _RIGHTS_OF_DATABASES, grantee):
        rights_of.setdefault(str(db), set()).add(str(right))
    objects = Objects(
        set(),
        {},
        {},
        {},
        {},
        {str(right) for (right,) in execute(connection, _RIGHTS, grantee)},
        rights_of,
        bool(folds),
    )
    objects.tables.update(objects.name((db, table)) for db, table in execute(connection, _TABLES))
    for db, table, owner, text, mode in execute(connection, _TRIGGERS):
        objects.triggers.setdefault(objects.name((db, table)), []).append(_body(text, owner, mode, dialect))
    for db, view, text in execute(connection, _VIEWS):
        objects.views[objects.name((db, view))] = _body(text, db, "", dialect)
    for db, routine, text, mode in execute(connection, _ROUTINES):
        key = objects.name((db, ""))[0], routine.lower()
        objects.routines.setdefault(key, []).append(_body(text, db, mode, dialect))
    for db, table, child_db, child in execute(connection, _CASCADES):
        objects.children.setdefault(objects.name((db, table)), set()).add(objects.name((child_db, child)))
    return objects


def _body(text: Any, db: str, mode: Any, dialect: Dialect) -> Body:
    """The tokens of a text of the catalog; None for one that is hidden or cannot be read."""
    if not text:
        return Body(None, db)
    code = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else str(text)
    modes = {"ANSI_QUOTES": ANSI_QUOTES, "NO_BACKSLASH_ESCAPES": NO_BACKSLASH_ESCAPES}
    bits = sum(modes.get(name, 0) for name in _text(mode).split(","))
    try:
        return Body(Statement(code, db, StatusVars(bits), dialect).tokens, db)
    except SchemaError:
        return Body(None, db)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
