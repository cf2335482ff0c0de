"""The metrics of one spool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deltaforge.observability.metrics import PipelineMetrics


class SpoolStock(NamedTuple):
    """What waits in one spool."""

    event_count: int
    byte_count: int
    is_detached: bool


class SpoolMeter:
    """Shows what waits for a sink."""

    def __init__(self, metrics: PipelineMetrics, sink_id: str, max_bytes: int) -> None:
        self._metrics = metrics
        self._labels = (metrics.pipeline, sink_id)
        self._max_bytes = max_bytes

    def written(self, event_count: int) -> None:
        """So many events were written down."""
        self._metrics.spool_written.labels(*self._labels).inc(event_count)

    def show(self, stocks: Sequence[SpoolStock]) -> None:
        """How much waits now: in the spools of a sink, which has one for each lane."""
        metrics, labels = self._metrics, self._labels
        metrics.spool_events.labels(*labels).set(sum(stock.event_count for stock in stocks))
        metrics.spool_size.labels(*labels).set(sum(stock.byte_count for stock in stocks))
        fullest = max(stock.byte_count for stock in stocks)
        metrics.spool_saturation_ratio.labels(*labels).set(fullest / self._max_bytes)
        metrics.spool_detached.labels(*labels).set(any(stock.is_detached for stock in stocks))
