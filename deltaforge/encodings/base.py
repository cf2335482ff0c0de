"""What an encoding is to the sinks that know where an event goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import EncodedValues
from deltaforge.core.event import ChangeEvent
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.waiting import Waiting


class Run(NamedTuple):
    """Neighbours in a batch that go to one destination and are of one table, by one definition of it.

    Attributes:
        destination: Topic, stream or subject; empty for sinks that have none.
        groups: At least one.
        at: The place of the first event in the batch.
    """

    destination: str
    groups: list[EventGroup]
    at: int

    def head(self) -> ChangeEvent:
        """The first event; its images may be missing."""
        return self.groups[0].head()


class EncoderContext(NamedTuple):
    """For which sink an encoder works, and where it says what it waits for."""

    pipeline: str
    sink: str
    metrics: PipelineMetrics
    waiting: Waiting


@runtime_checkable
class DestinationEncoder(Protocol):
    """Makes messages of events for which it needs more than the events: where they go, and perhaps a server that it
    asks, such as a registry of schemas. What needs neither is a :class:`deltaforge.core.batch.EventEncoder`.

    Attributes:
        content_type: Of the values, as in HTTP.
    """

    content_type: str

    def open(self, context: EncoderContext) -> None:
        """Connect to what it asks; may be called again, also without :meth:`close` before.

        Raises:
            SinkError: It cannot.
        """

    def encode(self, runs: Sequence[Run], now_ns: int) -> EncodedValues:
        """The messages of all events of a batch.

        Args:
            runs: They are all of the batch, in order.
            now_ns: Its :attr:`deltaforge.core.batch.Batch.now_ns`.

        Raises:
            SinkError: What it asks does not answer, or refuses.
            RecordError: An event cannot be encoded; ``index`` is its place in the batch.
        """

    def close(self) -> None:
        """Disconnect. Never raises; may be called twice."""
