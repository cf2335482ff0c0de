"""Which events a sink gets: the ``filter`` of its document part."""

from __future__ import annotations

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent
from deltaforge.sinks.base import SinkFilter


class EventFilter:
    """Applies a :class:`SinkFilter`; without one every batch passes as it is."""

    def __init__(self, spec: SinkFilter | None) -> None:
        self._spec = spec

    def apply(self, batch: Batch) -> Batch:
        """The batch with only the events the sink wants, in order; the same batch if that is all."""
        if self._spec is None or not batch.event_count:
            return batch
        return batch.where(self._wants)

    def _wants(self, event: ChangeEvent) -> bool:
        spec = self._spec
        if spec is None:
            return True
        if event.synthetic is None:
            return not spec.synthetic_only and not spec.producers
        return not spec.exclude_synthetic and (not spec.producers or event.synthetic in spec.producers)
