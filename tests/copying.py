"""Rows of a SELECT of MySQL or MariaDB as the events that a snapshot makes of them."""

from contextlib import closing

from deltaforge.core.batch import Batch
from deltaforge.core.json_text import encode_json
from deltaforge.kernel import backend
from deltaforge.protocol.mysql.result_rows import copied_columns
from deltaforge.sources.mysql.event_mapper import CapturedTable
from deltaforge.sources.mysql.group import copied_rows
from deltaforge.sources.mysql.rows_connection import RowsConnection
from deltaforge.sources.mysql.snapshot.columns import selected
from tests.reading import assert_kernel_equals_python

PLACE = (1_700_000_000_123, 7, "binlog.000001", 4711)


def quoted(name):
    return f"`{name.replace('`', '``')}`"


class TableCopy:
    """Reads a table that a stream has captured."""

    def __init__(self, url, table):
        self._connection = RowsConnection(url)
        self.columns = copied_columns(table.columns)
        self.table = CapturedTable(table.registered, self.columns, table.mapper, is_outbox=table.is_outbox)
        name = table.schema.table
        declared = dict(
            self._connection.query(
                "select cast(column_name as char), cast(column_type as char) from information_schema.columns"
                " where table_schema = %s and table_name = %s",
                (name.db, name.name),
            )
        )
        listed = ", ".join(selected(column, declared[column], kind) for column, kind in self.columns)
        self.sql = f"select {listed} from {quoted(name.db)}.{quoted(name.name)}"

    def parts(self, behind="", values=(), max_bytes=1 << 20):
        """The parts of a result."""
        statement = self._connection.prepare(f"{self.sql} {behind}")
        result = self._connection.execute(statement, values, self.columns)
        while not result.is_end:
            yield result.read(max_bytes)
        self._connection.forget(statement)

    def events(self, behind="", values=()):
        """All rows, which the kernel and the Python decoders see alike."""
        found = []
        for part in self.parts(behind, values):
            if part.row_count:
                found += self._events(part)
        return found

    def _events(self, part):
        transaction = backend.Transaction("mysql", "s", "copy", "", None)
        [group] = copied_rows(self.table, part.images, transaction, PLACE)
        assert_kernel_equals_python(Batch.of_groups([group], None))
        events = group.events()
        assert len(events) == part.row_count
        return events

    def close(self):
        self._connection.close()


def copied_events(url, table, behind="", values=()):
    """The events of all rows of a captured table, as they are now."""
    with closing(TableCopy(url, table)) as copy:
        return copy.events(behind, values)


def image(event):
    """The bytes of each value of an event, by column."""
    return {name: encode_json(value) for name, value in event.after.items()}
