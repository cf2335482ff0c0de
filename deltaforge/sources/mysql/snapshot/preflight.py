"""What an operator should know before a table of MySQL or MariaDB is copied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.server import ServerSettings

Query = Callable[..., Sequence[Sequence[Any]]]

_ENGINE = """
select t.engine, e.transactions
  from information_schema.tables t left join information_schema.engines e on e.engine = t.engine
 where t.table_schema = %s and t.table_name = %s
"""
_CASCADES = """
select constraint_name from information_schema.referential_constraints
 where constraint_schema = %s and table_name = %s
   and (delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') or update_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT'))
 order by constraint_name
"""
_LOGGED_CASCADES = (9, 6)
"""The first MySQL whose log has the rows that a foreign key changes."""


def warnings_of(query: Query, table: TableName, server: ServerSettings, *, has_key: bool) -> Iterator[str]:
    """As sentences."""
    if not has_key:
        yield "it has no key that it can be read by: it is one chunk, read whole"
    for engine, has_transactions in query(_ENGINE, table):
        if str(has_transactions).upper() == "NO":
            yield (
                f"engine {engine} has no transactions: rows are visible before the log has them, and an older row may"
                " come after a newer one"
            )
    major, minor = (int(part) for part in re.findall(r"\d+", server.version)[:2])
    if server.flavor == "mysql" and (major, minor) >= _LOGGED_CASCADES:
        return
    named = [str(name) for (name,) in query(_CASCADES, table)]
    if named:
        yield f"rows that foreign key {', '.join(named)} changes by cascade are in no log, and are not delivered"
