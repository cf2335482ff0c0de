"""Counts of what becomes of chunks, as metrics and as a rate."""

from __future__ import annotations

from deltaforge.core.snapshot import SnapshotJob
from deltaforge.core.snapshot_view import job_fraction
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.snapshot.pace import Rate, Turns
from deltaforge.sources.snapshot.states import Delivered


class SnapshotCounts:
    """Of all jobs of a pipeline.

    Attributes:
        rate: Of rows that were delivered.
        turns: Of chunks that have left and of the log.
        progressed_at: When a chunk last left for the sinks, or could have.
    """

    def __init__(self, metrics: PipelineMetrics, now: float) -> None:
        self._metrics = metrics
        self.rate, self.turns = Rate(), Turns()
        self.progressed_at = now

    def begin(self, now: float) -> None:
        """A job begins or goes on."""
        self.rate.begin(now)
        self.progressed_at = now

    def delivered(self, table: str, what: Delivered, *, is_reread: bool, now: float) -> None:
        """A chunk left for the sinks."""
        metrics, pipeline = self._metrics, self._metrics.pipeline
        table = metrics.table_label(table)
        metrics.snapshot_rows.labels(pipeline, table).inc(what.row_count)
        metrics.snapshot_bytes.labels(pipeline).inc(what.byte_count)
        metrics.snapshot_dropped_rows.labels(pipeline, table).inc(what.dropped_count)
        metrics.snapshot_chunks.labels(pipeline, "reread" if is_reread else "delivered").inc()
        self.rate.note(what.row_count, now)
        self.progressed_at = now

    def discarded(self, count: int = 1) -> None:
        """Chunks were thrown away and are read again."""
        if count:
            self._metrics.snapshot_chunks.labels(self._metrics.pipeline, "discarded").inc(count)


def eta_secs(job: SnapshotJob, rows_per_second: float | None) -> float | None:
    """Seconds until the end of a job, if it goes on so."""
    fraction = job_fraction(job)
    if not rows_per_second or not fraction:
        return None
    row_count = sum(copy.row_count for copy in job.tables)
    return row_count * (1 - fraction) / fraction / rows_per_second
