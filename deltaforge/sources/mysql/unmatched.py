"""Why a table pattern matches no table that the user may see."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from deltaforge.config.patterns import TablePatterns
from deltaforge.sources.mysql.catalog import SYSTEM_DATABASES, load_names
from deltaforge.sources.unmatched import PatternWatch


def look_for_tables(connection: Connection[Any], watch: PatternWatch) -> None:
    """Find out which patterns no table matches.

    Raises:
        SourceError: The catalog cannot be read.
    """
    tables, databases = load_names(connection)

    def why(patterns: TablePatterns, pattern: str) -> str:
        db = patterns.qualifier_of(pattern)
        if db in SYSTEM_DATABASES:
            return f"tables of {db} are never captured"
        what = f"database {db} is" if db is not None and db not in databases else "such a table is"
        grant = f"grant SELECT on {f'`{db}`' if db else '*'}.* to it"
        return f"{what} not there, or the user may not see it: as an administrator, {grant}"

    watch.look(tables, why)
