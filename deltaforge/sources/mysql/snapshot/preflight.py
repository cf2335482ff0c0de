"""What an operator should know before a table of MySQL or MariaDB is copied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.server import ServerSettings
from deltaforge.sources.mysql.snapshot.names import quoted_table

Query = Callable[..., Sequence[Sequence[Any]]]

_ENGINE = """
select t.engine, e.transactions
  from information_schema.tables t left join information_schema.engines e on e.engine = t.engine
 where t.table_schema = %s and t.table_name = %s
"""
_CASCADE = re.compile(
    r"^ *CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY .* ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)", re.MULTILINE
)
"""In ``SHOW CREATE TABLE``: the information schema hides foreign keys from who may only read."""
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
    named = [
        name for row in query(f"show create table {quoted_table(table)}") for name in _CASCADE.findall(str(row[1]))
    ]
    if named:
        yield f"rows that foreign key {', '.join(named)} changes by cascade are in no log, and are not delivered"
