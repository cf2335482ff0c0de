"""What the stream does for the copying of its tables; see :class:`deltaforge.sources.snapshot.base.CopyableLog`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

from deltaforge.core.errors import SourceError
from deltaforge.protocol.mysql.result_rows import copied_columns
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.sources.mysql.catalog import load_table
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.definitions import TableDefinition, definition_of, point_of
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.mysql.server import ServerSettings, tail_position
from deltaforge.sources.mysql.snapshot.columns import copied_types, select_list
from deltaforge.sources.mysql.statement import Statement

ATTEMPTS = 5
_OF_DEFINITIONS = frozenset({"alter", "create", "drop", "rename"})


def tables_to_copy(
    dsn: str, server: ServerSettings, registry: SchemaRegistry, mapper: EventMapper, names: Sequence[TableName]
) -> dict[TableName, CapturedTable]:
    """Tables as the catalog has them now, registered; those that are gone are left out.

    Raises:
        SourceError: The catalog cannot be read.
    """
    is_mariadb = server.flavor == "mariadb"
    found: dict[TableName, CapturedTable] = {}
    with closing(connect(dsn)) as connection:
        for _ in range(ATTEMPTS):
            left = [name for name in names if name not in found]
            before = {name: load_table(connection, name).found for name in left}
            end = tail_position(connection, server)
            changed = [name for name in left if load_table(connection, name).found != before[name]]
            for name, definition in before.items():
                if definition is not None and name not in changed:
                    point = point_of(end, server.uuid)
                    known = definition_of(definition.schema, is_mariadb=is_mariadb)
                    version = registry.resolve(name, known.signature, point) or registry.register(known, point)
                    columns = copied_columns(copied_types(definition, is_mariadb=is_mariadb))
                    table = found[name] = CapturedTable(version, columns, mapper, is_outbox=False)
                    table.selected = select_list(definition, columns)
                    table.digest = digest_of(definition)
            if not changed:
                return found
    raise SourceError("tables are being altered all the time", kind="timeout")


def digest_of(definition: TableDefinition) -> str:
    """Equal for definitions whose rows are alike."""
    return hashlib.blake2b(repr(definition).encode(), digest_size=16).hexdigest()


class DefinitionCounts:
    """How often the log has met statements that may define watched tables anew."""

    def __init__(self) -> None:
        self._counts: Counter[TableName] = Counter()

    def watch(self, names: Sequence[TableName]) -> None:
        """Count for these tables, too."""
        for name in names:
            self._counts.setdefault(name, 0)

    def note(self, statement: Statement) -> None:
        """A statement that is no transaction control. One that only mentions a table counts as well."""
        if not self._counts or statement.first_word not in _OF_DEFINITIONS:
            return
        text = statement.text.lower().replace("``", "`").replace('""', '"')
        for db, table in self._counts:
            if table.lower() in text or (db.lower() in text and ("database" in text or "schema" in text)):
                self._counts[db, table] += 1

    def of(self, name: TableName) -> int:
        """For one table."""
        return self._counts[name]
