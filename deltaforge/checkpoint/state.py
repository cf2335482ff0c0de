"""What the dataflow saves with every epoch: plain JSON bytes with a version number.

The control plane reads these without any pipeline code.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions import Position, is_same_place
from deltaforge.core.snapshot import SnapshotState


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a source continues.

    ``position`` is where reading begins again, and what the server must not forget: every sink has what is before
    it, or its spool does. ``reset_id`` is the reset that this state follows, empty before the first. ``snapshot``: how
    far the copying of tables is; None: no table was ever to be copied.
    """

    source_id: str
    position: Position
    v: int = 1
    reset_id: str = ""
    snapshot: SnapshotState | None = None


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


class SpoolPlace(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Between two records of a spool: the number of a segment, and an offset in its file."""

    segment: int
    offset: int


class SpoolMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What waits in the spool of a sink: batches from ``first`` to ``end``, up to ``position`` in the log.

    ``is_detached``: the spool was full and the sink was given up; it gets what waits, and nothing behind ``position``.
    """

    first: SpoolPlace
    end: SpoolPlace
    position: Position
    is_detached: bool = False


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """The acked position of every sink. ``reset_id``: as in :class:`SourceState`; both are saved together.

    ``spools`` has the sinks that do not hold the barrier. ``members`` are the ids of all sinks of the document: any
    other is new.

    ``era`` says of which cut into lanes it is; unset: of a pipeline that never had more than one.

    ``generation`` is that of the pipeline; ``sink_generations`` has the sinks that were set back alone since it
    began.
    """

    source_id: str
    sinks: list[SinkCheckpoint]
    v: int = 1
    generation: str = msgspec.field(default="", name="incarnation")
    sink_generations: dict[str, str] = msgspec.field(default_factory=dict, name="sink_incarnations")
    reset_id: str = ""
    spools: dict[str, SpoolMark] = {}
    members: list[str] = []
    era: int | UnsetType = UNSET

    def knows(self, sink_id: str) -> bool:
        """Whether the sink was part of the pipeline when this was saved."""
        return sink_id in self.members

    def with_members(self, sink_ids: list[str], make_id: Callable[[], str]) -> DeliveryState:
        """Where a start of a document with these sinks begins: one that is gone is forgotten, also at its destination
        should it come back.
        """
        gone = {sink_id: make_id() for sink_id in self.members if sink_id not in sink_ids}
        return msgspec.structs.replace(
            self,
            sinks=[sink for sink in self.sinks if sink.sink_id not in gone],
            spools={sink_id: mark for sink_id, mark in self.spools.items() if sink_id not in gone},
            sink_generations={**self.sink_generations, **gone},
            members=sink_ids,
        )

    def generation_of(self, sink_id: str) -> str:
        """Under which a sink's destination keeps its progress."""
        return self.sink_generations.get(sink_id, self.generation)

    def after_reset(self, reset_id: str, sink_id: str | None, to: Position | None = None) -> DeliveryState:
        """Where a reset begins: what it sets back has no position, neither here nor at its destination.

        Args:
            reset_id: Of the reset; also the new generation, the same however often the start is repeated.
            sink_id: The one sink that is set back; None: all of them.
            to: Where reading begins. A sink that was given up there, or further on and has not got what is before it,
                gets what waits for it, and goes on: lanes are given up at places of their own.
        """
        if sink_id is None:
            members = self.members
            return DeliveryState(
                source_id=self.source_id, sinks=[], generation=reset_id, reset_id=reset_id, members=members
            )
        mark = self.spools.get(sink_id)
        acked = next((sink.position for sink in self.sinks if sink.sink_id == sink_id), None)
        if mark is not None and mark.is_detached and _goes_on(mark.position, acked, to):
            attached = msgspec.structs.replace(mark, is_detached=False)
            return msgspec.structs.replace(self, spools={**self.spools, sink_id: attached}, reset_id=reset_id)
        return msgspec.structs.replace(
            self,
            sinks=[sink for sink in self.sinks if sink.sink_id != sink_id],
            spools={known: mark for known, mark in self.spools.items() if known != sink_id},
            sink_generations={**self.sink_generations, sink_id: reset_id},
            reset_id=reset_id,
        )


def _goes_on(given_up: Position, acked: Position | None, to: Position | None) -> bool:
    """Whether a sink gets what waits for it. What is read from ``to`` on does not have all of that."""
    if to is None:
        return False
    has_gap = acked is None or acked.is_behind(to) is True
    return is_same_place(to, given_up) or (has_gap and to.is_behind(given_up) is True)


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
