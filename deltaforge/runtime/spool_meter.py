"""The metrics of one spool."""

from __future__ import annotations

from deltaforge.checkpoint.spool import Spool
from deltaforge.observability.metrics import PipelineMetrics


class SpoolMeter:
    """Shows what waits for a sink."""

    def __init__(self, metrics: PipelineMetrics, sink_id: str, max_bytes: int) -> None:
        self._metrics = metrics
        self._labels = (metrics.pipeline, sink_id)
        self._max_bytes = max_bytes

    def written(self, event_count: int) -> None:
        """So many events were written down."""
        self._metrics.spool_written.labels(*self._labels).inc(event_count)

    def show(self, spool: Spool, event_count: int, *, is_detached: bool) -> None:
        """How much waits at a barrier."""
        metrics, labels, size = self._metrics, self._labels, spool.byte_count
        metrics.spool_events.labels(*labels).set(event_count)
        metrics.spool_size.labels(*labels).set(size)
        metrics.spool_saturation_ratio.labels(*labels).set(size / self._max_bytes)
        metrics.spool_detached.labels(*labels).set(is_detached)
