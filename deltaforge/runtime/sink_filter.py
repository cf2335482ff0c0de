"""Which events a sink gets: the ``filter`` of its document part."""

from __future__ import annotations

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent
from deltaforge.sinks.base import SinkFilter


class EventFilter:
    """Applies a :class:`SinkFilter`."""

    def __init__(self, spec: SinkFilter) -> None:
        self._spec = spec

    def apply(self, batch: Batch) -> Batch:
        """The batch with only the events the sink wants, in order; the same batch if that is all."""
        return batch.where(self._wants) if batch.event_count else batch

    def _wants(self, event: ChangeEvent) -> bool:
        spec = self._spec
        if event.synthetic is None:
            return not spec.synthetic_only and not spec.producers
        return not spec.exclude_synthetic and (not spec.producers or event.synthetic in spec.producers)
