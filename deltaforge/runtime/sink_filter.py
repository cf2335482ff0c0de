"""Which events a sink gets: the ``filter`` of its document part, and what its envelope asks for."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from deltaforge.core.batch import Batch
from deltaforge.core.event import Asked, ChangeEvent
from deltaforge.core.notices import without_notices
from deltaforge.sinks.base import SinkFilter


class EventFilter:
    """Applies a :class:`SinkFilter`.

    Args:
        spec: None: none.
        unwanted: Notices that other sinks asked for.
    """

    def __init__(self, spec: SinkFilter | None, unwanted: AbstractSet[Asked]) -> None:
        self._spec = spec
        self._unwanted = unwanted

    def apply(self, batch: Batch) -> Batch:
        """The batch with only the events the sink wants, in order; the same batch if that is all."""
        if self._unwanted:
            batch = without_notices(batch, self._unwanted)
        spec = self._spec
        return batch if spec is None or not batch.event_count else batch.where(lambda event: _wants(spec, event))


def _wants(spec: SinkFilter, event: ChangeEvent) -> bool:
    if event.synthetic is None:
        return not spec.synthetic_only and not spec.producers
    return not spec.exclude_synthetic and (not spec.producers or event.synthetic in spec.producers)
