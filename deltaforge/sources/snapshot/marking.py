"""What copied rows are among those of their copy, as readers of Debezium's messages want to know."""

from __future__ import annotations

from deltaforge.core.batch import Batch
from deltaforge.core.event import SnapshotMark
from deltaforge.core.snapshot import SnapshotJob, TableCopy
from deltaforge.sources.snapshot import states


def mark_rows(batch: Batch, before: SnapshotJob, copy: TableCopy) -> None:
    """Mark the first and the last row of a table and of a whole copy, or all rows of one that was asked for while it
    ran. The rows that would be the first or last may be those that changed meanwhile, which are not in the copy.

    Args:
        batch: A chunk.
        before: Its job, before it was delivered.
        copy: Its table, after that.
    """
    if before.kind in {"ad_hoc", "new_table"}:
        for group in batch.groups:
            group.mark("incremental", None, None)
        return
    others = [table for table in before.tables if (table.schema, table.name) != (copy.schema, copy.name)]
    first: SnapshotMark | None = None
    last: SnapshotMark | None = None
    if copy.row_count == batch.event_count:
        first = "first_in_data_collection" if any(table.row_count for table in others) else "first"
    if states.is_copied(copy):
        last = "last" if all(table.is_over for table in others) else "last_in_data_collection"
    for number, group in enumerate(batch.groups):
        is_last = number == len(batch.groups) - 1
        group.mark(None, None if number else first, last if is_last else None)
