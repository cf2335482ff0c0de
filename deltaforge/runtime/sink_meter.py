"""The metrics of one sink."""

from __future__ import annotations

import time
from collections.abc import Sequence

from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError
from deltaforge.observability.metrics import PipelineMetrics


class SinkMeter:
    """Counts what a sink does."""

    def __init__(self, metrics: PipelineMetrics, sink_id: str) -> None:
        self._metrics = metrics
        self._labels = (metrics.pipeline, sink_id)

    def written(self, duration_secs: float) -> None:
        """A batch was handed to the sink."""
        self._metrics.sink_latency.labels(*self._labels).observe(duration_secs)

    def acked(self, batches: Sequence[Batch], event_count: int) -> None:
        """Whole batches are durable now, and so many events, which may be of parts of others as well."""
        metrics, now = self._metrics, time.monotonic()
        self.delivered(event_count)
        metrics.sink_batches.labels(*self._labels).inc(len(batches))
        for batch in batches:
            if batch.event_count:
                metrics.e2e_latency.labels(metrics.pipeline).observe(now - batch.received_at)
        if batches:
            metrics.sink_last_checkpoint_ts.labels(*self._labels).set(time.time())

    def delivered(self, event_count: int) -> None:
        """So many events are durable now."""
        self._metrics.sink_events.labels(*self._labels).inc(event_count)

    def failed(self, error: DeltaForgeError) -> None:
        """The sink raised."""
        self._metrics.sink_errors.labels(*self._labels).inc()
        if error.kind == "routing":
            self._metrics.sink_routing_errors.labels(*self._labels, error.kind).inc()

    def reconnected(self) -> None:
        """The sink is opened again after an error."""
        self._metrics.sink_reconnects.labels(*self._labels).inc()
