"""What becomes of the requests to a schema registry and of the events that need it, counted."""

from __future__ import annotations

from typing import Literal, Protocol

from deltaforge.observability.metrics import PipelineMetrics

Result = Literal["ok", "rejected", "failed"]
Reason = Literal["sr_unavailable", "schema_mismatch"]
"""Why an event has no bytes (contract 06)."""
Path = Literal["ddl", "inferred"]
"""Whether the schema of an event is of its table's definition, or of its own values (contract 06)."""


class RegistryMeter(Protocol):
    """Counts requests, ids and events."""

    def note_request(self, result: Result) -> None:
        """One request."""

    def note_ids(self, count: int) -> None:
        """So many ids are known."""

    def note_new_id(self) -> None:
        """The registry gave the id of a schema that it was not asked for before."""

    def note_changed_id(self) -> None:
        """The registry has another id for a schema than it had."""

    def note_encoded(self, path: Path, count: int) -> None:
        """So many events were encoded."""

    def note_failure(self, reason: Reason) -> None:
        """An event, or the batch that it is in, was not encoded."""


class PipelineRegistryMeter:
    """Into the metrics of a pipeline, for one of its sinks."""

    def __init__(self, metrics: PipelineMetrics, pipeline: str, sink: str) -> None:
        self._metrics, self._labels = metrics, (pipeline, sink)
        self._id_count = 0

    def note_request(self, result: Result) -> None:
        self._metrics.registry_requests.labels(*self._labels, result).inc()

    def note_ids(self, count: int) -> None:
        self._metrics.registry_cached_ids.labels(*self._labels).inc(count - self._id_count)
        self._id_count = count

    def note_new_id(self) -> None:
        self._metrics.avro_registrations.labels(*self._labels).inc()

    def note_changed_id(self) -> None:
        self._metrics.registry_changed_ids.labels(*self._labels).inc()

    def note_encoded(self, path: Path, count: int) -> None:
        self._metrics.avro_encoded.labels(*self._labels, path).inc(count)

    def note_failure(self, reason: Reason) -> None:
        self._metrics.avro_failures.labels(*self._labels, reason).inc()
