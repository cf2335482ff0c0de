"""What was read since the metrics were told last."""

from __future__ import annotations

from collections import Counter

from deltaforge.core.event import ChangeEvent
from deltaforge.core.notices import notice_of
from deltaforge.kernel.captured import CapturedTable
from deltaforge.sources.base import SourceContext
from deltaforge.sources.mysql.group import TableGroup, op_counts
from deltaforge.sources.mysql.tables import Tables


class ReadCounts:
    """Counts log bytes, rows by table and op, and dates with a zero part by table.

    Attributes:
        bytes: Of the log, captured or not.
        scanned: Counts and dates with a zero part of what the kernel took since then; to be appended to.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.scanned: list[tuple[list[tuple[CapturedTable, str, int, int]], list[tuple[CapturedTable, int]]]] = []
        self._rows: Counter[tuple[str, str]] = Counter()
        self._null_dates: Counter[str] = Counter()
        self._notices: Counter[str] = Counter()

    def group(self, name: str, group: TableGroup) -> None:
        """The rows of a row event of this table."""
        for op, count in op_counts(group):
            self._rows[name, op] += count
        if group.null_date_count:
            self._null_dates[name] += group.null_date_count

    def event(self, event: ChangeEvent) -> None:
        """A truncate, or a notice."""
        notice = notice_of(event)
        if notice is None:
            self._rows[event.source.qualified_table, event.op] += 1
        else:
            self._notices[notice] += 1

    def tell(self, context: SourceContext, source_id: str, tables: Tables) -> None:
        """Add everything to the metrics, and begin anew."""
        metrics, labels = context.metrics, (context.pipeline, source_id)
        metrics.source_bytes.labels(*labels).inc(self.bytes)
        metrics.unmatched_patterns.labels(*labels).set(len(tables.watch.reasons))
        metrics.schema_cache_hits.labels(*labels).inc(tables.hits)
        metrics.schema_cache_misses.labels(*labels).inc(tables.misses)
        metrics.taken_over.labels(*labels).inc(tables.taken_over)
        for counts, null_dates in self.scanned:
            for captured, op, count, _ in counts:
                self._rows[captured.name, op] += count
            for captured, count in null_dates:
                self._null_dates[captured.name] += count
        self.scanned.clear()
        self.bytes = tables.hits = tables.misses = tables.taken_over = 0
        metrics.count_rows(source_id, self._rows)
        self._rows.clear()
        for table, count in self._null_dates.items():
            metrics.null_dates.labels(*labels, metrics.table_label(table)).inc(count)
        self._null_dates.clear()
        for notice, count in self._notices.items():
            metrics.notices.labels(*labels, notice).inc(count)
        self._notices.clear()
