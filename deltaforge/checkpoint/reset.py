"""A reset of the checkpoint: what an operator asked for, and the file that brings it to the next start.

The recovery store is Bytewax's and is never edited. The request lies in a file beside it. The next start of the
pipeline reads it before it builds the dataflow, begins there instead of at the saved position, and saves its first
state with the request's id in it. Only then is the file removed. So a crash before that save repeats the start of
the reset, before which nothing was delivered, and a crash after it finds the id in the saved state.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deltaforge.checkpoint.durable import sync_folder, write_durably
from deltaforge.core.errors import CheckpointError, SpecError
from deltaforge.core.positions import POSITION_TYPES, LogEdge, Position, Start

T = TypeVar("T")


class ResetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where to begin. ``sink_id`` is the one sink that is set back; None: all of them. ``snapshot``: whether all tables
    are copied again, whatever was copied before.

    ``edge`` or ``position`` is set, never both.
    """

    id: str
    edge: LogEdge | None = None
    position: Position | None = None
    sink_id: str | None = None
    snapshot: bool = False
    v: int = 1

    @property
    def start(self) -> Start:
        """Where reading begins."""
        start = self.edge or self.position
        if start is None:
            raise CheckpointError("the reset of the checkpoint says no place")
        return start

    def view(self) -> dict[str, Any]:
        """As it was asked for."""
        view: dict[str, Any] = {"to": self.edge.value if self.edge else self.position and self.position.view()}
        if self.sink_id is not None:
            view["sink_id"] = self.sink_id
        return {**view, "snapshot": True} if self.snapshot else view


_decoder = msgspec.json.Decoder(ResetRequest)


def request_from_body(
    body: Any, *, source_type: str, sink_ids: list[str], saved: Position | None = None
) -> ResetRequest:
    """The request in a REST body ``{"to": "earliest" | "latest" | <position>, "sink_id"?, "snapshot"?}``.

    Args:
        body: Parsed JSON.
        source_type: The ``type`` of the source in the document.
        sink_ids: Of the document.
        saved: Where the source would continue without a reset.

    Raises:
        SpecError: Not a reset of this pipeline; says what is wrong.
    """
    if not isinstance(body, dict) or "to" not in body:
        raise SpecError('expected an object with the key `to`: "earliest", "latest" or a position')
    unknown = sorted(set(body) - {"to", "sink_id", "snapshot"})
    if unknown:
        raise SpecError(f"unknown key {unknown[0]!r}", hint="known are `to`, `sink_id`, `shard` and `snapshot`")
    is_copied = body.get("snapshot", False)
    if not isinstance(is_copied, bool):
        raise SpecError("expected true or false", path="snapshot")
    sink_id = body.get("sink_id")
    if sink_id is not None and sink_id not in sink_ids:
        raise SpecError(f"the pipeline has no sink {sink_id!r}", path="sink_id", hint=f"it has {', '.join(sink_ids)}")
    start = _start(body["to"], source_type)
    if sink_id is not None:
        _check_set_back(start, saved)
    _check_complete(start, saved)
    if isinstance(start, LogEdge):
        return ResetRequest(id=uuid.uuid4().hex, edge=start, sink_id=sink_id, snapshot=is_copied)
    return ResetRequest(id=uuid.uuid4().hex, position=start, sink_id=sink_id, snapshot=is_copied)


def write_reset(path: Path, request: ResetRequest) -> None:
    """Put the request where the next start finds it; replaces an earlier one. Durable when this returns."""
    write_durably(path, msgspec.json.encode(request))


def read_reset(path: Path) -> ResetRequest | None:
    """The pending request; None if there is none.

    Raises:
        CheckpointError: The file cannot be read.
    """
    try:
        request = _decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        raise CheckpointError(f"the reset in {path.name} cannot be read: {exc}", hint="reset it again") from exc
    if request.v != 1:
        raise CheckpointError(f"the reset in {path.name} has version {request.v}, this program reads version 1")
    return request


def remove_reset(path: Path, request: ResetRequest) -> None:
    """The request is saved: forget it, unless another one has taken its place."""
    pending = read_reset(path)
    if pending is not None and pending.id == request.id:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def readable(decode: Callable[[bytes], T], data: bytes | None) -> T | None:
    """A saved state that a reset takes the place of; None if there is none or nobody can read it."""
    try:
        return decode(data) if data else None
    except CheckpointError:
        return None


def _start(to: Any, source_type: str) -> Start:
    if isinstance(to, str):
        try:
            return LogEdge(to)
        except ValueError:
            raise SpecError(f'{to!r} is neither "earliest" nor "latest"', path="to") from None
    if not isinstance(to, dict):
        raise SpecError(f'expected "earliest", "latest" or a position, got {type(to).__name__}', path="to")
    kind = POSITION_TYPES[source_type]
    try:
        return kind.from_view(to)
    except CheckpointError as exc:
        raise SpecError(exc.message, path="to", hint=exc.hint) from exc
    except (TypeError, ValueError) as exc:
        raise SpecError(
            f"not a position of a {source_type} source: {exc}", path="to", hint=f"expected {kind.SHAPE}"
        ) from exc


def _check_set_back(start: Start, saved: Position | None) -> None:
    """One sink alone can only be set back: what the others still need must be read as well."""
    is_ahead = start is LogEdge.LATEST if isinstance(start, LogEdge) else saved is not None and saved.is_behind(start)
    if is_ahead:
        raise SpecError(
            "one sink alone can only be set back", path="to", hint="leave `sink_id` out to move all sinks ahead"
        )


def _check_complete(start: Start, saved: Position | None) -> None:
    missing = "" if saved is None or isinstance(start, LogEdge) else start.missing_beside(saved)
    if missing:
        raise SpecError(missing, path="to", hint="as the checkpoint shows it")
