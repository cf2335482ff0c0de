"""What an encoding is to the sinks that know where an event goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from deltaforge.core.event import ChangeEvent


class Run(NamedTuple):
    """Neighbours in a batch that go to one destination and are of one table.

    Attributes:
        destination: Topic, stream or subject; empty for sinks that have none.
        events: At least one.
        keys: Of the events, as text.
    """

    destination: str
    events: Sequence[ChangeEvent]
    keys: Sequence[bytes]


class EncodedMessage(NamedTuple):
    """The bytes of one event."""

    key: bytes
    value: bytes


@runtime_checkable
class RunEncoder(Protocol):
    """Makes bytes of events for which it needs more than the events: where they go, and perhaps a server that it asks,
    such as a registry of schemas. What needs neither is a :class:`deltaforge.core.batch.EventEncoder`.

    Attributes:
        content_type: Of the values, as in HTTP.
    """

    content_type: str

    def open(self) -> None:
        """Connect to what it asks; may be called again, also without :meth:`close` before.

        Raises:
            SinkError: It cannot.
        """

    def encode_run(self, run: Run) -> Sequence[EncodedMessage]:
        """The keys and values of all events of a run, in order.

        Raises:
            SinkError: What it asks does not answer, or refuses.
            RecordError: An event cannot be encoded; ``index`` is its place in the run.
        """

    def close(self) -> None:
        """Disconnect. Never raises; may be called twice."""
