"""What the dataflow saves with every epoch: plain JSON bytes with a version number.

The control plane reads these without any pipeline code; writers emit the newest version and readers
accept every older one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.core.position import Position


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a source continues.

    ``position`` is where every sink that holds the barrier is. ``replay_from`` is an earlier one,
    set while an optional sink is behind: reading then starts there, and the sinks that already have
    those rows drop them. ``reset_id`` is the reset that this state follows, empty before the first.
    """

    source_id: str
    position: Position
    replay_from: Position | None = None
    v: int = 1
    reset_id: str = ""

    @property
    def start(self) -> Position:
        """Where reading has to begin, and what the server must not forget."""
        return self.replay_from or self.position


class SinkCheckpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A saved position of one sink, and when the sink acked it.

    ``kept`` is the position that the sink's destination keeps itself, if it does: the one of the last
    batch with events.
    """

    sink_id: str
    position: Position
    acked_at: datetime
    kept: Position | None = None

    def age_seconds(self, now: datetime | None = None) -> float:
        """Seconds since the ack."""
        return max(0.0, ((now or datetime.now(UTC)) - self.acked_at).total_seconds())


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """The acked position of every sink. ``reset_id``: as in :class:`SourceState`; both are saved together.

    ``incarnation`` is that of the pipeline (empty: of an older version); ``sink_incarnations`` has the sinks
    that were set back alone since it began.
    """

    source_id: str
    sinks: list[SinkCheckpoint]
    v: int = 1
    incarnation: str = ""
    sink_incarnations: dict[str, str] = {}
    reset_id: str = ""

    def incarnation_of(self, sink_id: str) -> str:
        """Under which a sink's destination keeps its progress."""
        return self.sink_incarnations.get(sink_id, self.incarnation)

    def after_reset(self, reset_id: str, sink_id: str | None) -> DeliveryState:
        """Where a reset begins: what it sets back has no position, neither here nor at its destination.

        Args:
            reset_id: Of the reset; also the new incarnation, the same however often the start is repeated.
            sink_id: The one sink that is set back; None: all of them.
        """
        if sink_id is None:
            return DeliveryState(source_id=self.source_id, sinks=[], incarnation=reset_id, reset_id=reset_id)
        return msgspec.structs.replace(
            self,
            sinks=[sink for sink in self.sinks if sink.sink_id != sink_id],
            sink_incarnations={**self.sink_incarnations, sink_id: reset_id},
            reset_id=reset_id,
        )


T = TypeVar("T", SourceState, DeliveryState)

_source = msgspec.json.Decoder(SourceState)
_delivery = msgspec.json.Decoder(DeliveryState)


def encode_state(state: SourceState | DeliveryState) -> bytes:
    """JSON bytes of a state."""
    return msgspec.json.encode(state)


def decode_source_state(data: bytes) -> SourceState:
    """A source state.

    Raises:
        CheckpointError: Not a state that this version understands.
    """
    return _checked(_source, data)


def decode_delivery_state(data: bytes) -> DeliveryState:
    """A delivery state.

    Raises:
        CheckpointError: Not a state that this version understands.
    """
    return _checked(_delivery, data)


def _checked(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        state = decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise CheckpointError(f"saved state cannot be read: {exc}") from exc
    if state.v != 1:
        raise CheckpointError(
            f"saved state has version {state.v}, this program reads version 1",
            hint="run the newer DeltaForge that wrote it",
        )
    return state
