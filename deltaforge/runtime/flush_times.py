"""When a sink is flushed: as soon as nothing more waits, or as seldom as a sink wants that gathers."""

from __future__ import annotations

import time
from typing import cast

from deltaforge.sinks.base import GatheringSink, Sink, SinkConfig

FLUSH_BYTES = 16 << 20  # memory of the batches that are written again together when a flush fails
GATHERED_BYTES = 64 << 20  # the same of a sink that gathers: then it is flushed, whether it is due or not
DUE_SECS = 0.2  # how often a sink that gathers is asked whether it is due


class FlushTimes:
    """Of one sink.

    Attributes:
        write_bytes: Memory of the batches that are written before :meth:`is_due` is asked again.
    """

    def __init__(self, config: SinkConfig, sink: Sink) -> None:
        self._gatherer = cast("GatheringSink", sink) if config.is_gathering else None
        self.write_bytes = 1 if self._gatherer else FLUSH_BYTES

    def wait_secs(self, held_bytes: int) -> float | None:
        """How long to wait for the next batch while so much is not acked; None: as long as it takes."""
        if not held_bytes:
            return None
        return DUE_SECS if self._gatherer else 0.0

    def is_due(self, held_bytes: int) -> bool:
        """Whether it is time for a flush while so much is not acked."""
        gatherer = self._gatherer
        return gatherer is None or held_bytes >= GATHERED_BYTES or gatherer.flush_due(time.monotonic())
