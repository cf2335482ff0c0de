"""One random MySQL row event through the kernel, and through the Python decoders beside it."""

import random
import re

import msgspec

from deltaforge.core.batch import EventGroup
from deltaforge.core.errors import DeltaForgeError, UnsupportedValueError
from deltaforge.kernel import backend, pure
from deltaforge.protocol.mysql.rows import RowDecoder, Rows
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.mysql.group import RowGroup, row_group
from tests.fuzz import mysql_input
from tests.reading import ENCODERS
from tests.schemas import registered

PLACE = (1_700_000_000_123, 7, "binlog.000001", 4711)


class Case:
    """A table and one row event of it; rows are decoded by both."""

    def __init__(self, rnd: random.Random, damage: float) -> None:
        columns, self.rows, key = mysql_input.row_event(rnd)
        schema = mysql_input.schema_of(columns, key)
        try:
            RowDecoder("t", columns)
        except UnsupportedValueError:  # this table cannot be captured at all
            columns = [(name, column) for name, column in columns if _is_supported(column)]
        if rnd.random() < damage:
            self.rows = msgspec.structs.replace(self.rows, data=mysql_input.damaged(rnd, self.rows.data))
        self.gtid = rnd.choice(("", "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"))
        self.encoder = rnd.choice(ENCODERS)
        self.table = CapturedTable(
            registered(schema), columns, EventMapper('p"', "acm\u00e9"), is_outbox=rnd.random() < 0.2
        )

    def row_groups(self) -> list[EventGroup]:
        """The rows as the source makes them."""
        group = row_group(self.table, self.rows, self._transaction(backend.Transaction), PLACE)
        group.tx_end = True
        return [group]

    def by_kernel(self) -> list[bytes] | str:
        """Values with their keys, or the error."""
        try:
            values = self.encoder.encode_groups(self.row_groups())
        except DeltaForgeError as error:
            return self._told(error)
        return [b"%s %s" % (values.key(n), values[n]) for n in range(len(values))]

    def by_python(self) -> list[bytes] | str:
        """The same from the Python decoders."""
        try:
            group = RowGroup(self.table, self.rows, self._transaction(pure.Transaction), PLACE)
            group.tx_end = True
            values = self.encoder.encode_each([group])
        except DeltaForgeError as error:
            return self._told(error)
        return [b"%s %s" % (values.key(n), values[n]) for n in range(len(values))]

    def _told(self, error: DeltaForgeError) -> str:
        """An error; without the byte that it names where the kernel reads rows that it has completed."""
        kind, before, after = self.rows.kind, self.rows.before, self.rows.after
        is_completed = kind == "update" and after != before and after | before == before
        told = f"{type(error).__name__}: {error}"
        return re.sub(r" at byte \d+", "", told) if is_completed else told

    def _transaction(self, make):
        transaction = make("mysql", "server-1", self.gtid or "binlog.000001:4", self.gtid, None)
        transaction.ordinal = 3
        return transaction


def _is_supported(column) -> bool:
    try:
        RowDecoder("t", [("c", column)])
    except UnsupportedValueError:
        return False
    return True


def null_dates(rows: Rows, table: CapturedTable) -> tuple[int, int]:
    """Dates that became null, as the kernel and as the Python decoders count them."""
    groups = (
        row_group(table, rows, _plain(backend.Transaction), PLACE),
        RowGroup(table, rows, _plain(pure.Transaction), PLACE),
    )
    return groups[0].null_date_count, groups[1].null_date_count


def _plain(make):
    return make("mysql", "server-1", "binlog.000001:4", "", None)


def plain_table() -> CapturedTable:
    """A table with one integer column, which is its key."""
    columns = [("id", ColumnType(code=Code.LONG))]
    return CapturedTable(
        registered(mysql_input.schema_of(columns, ("id",))), columns, EventMapper("p", "acme"), is_outbox=False
    )
