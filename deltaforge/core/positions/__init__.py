"""Places in a source log from which reading can continue.

A position always stands at the end of a transaction: saving one never splits a transaction. Positions are small,
versioned (by their tag and the version of the state around them) and plain data.

Each database has a module here with one struct, which holds every rule of its positions. A new database is a new
module and a member of :data:`Position`; its tag is the ``type`` of the source in a document. All have:

* ``order``: sorts the positions of one server's log, nothing else.
* ``is_behind(other)``: whether ``other`` has something before it that this position has not; None where nobody can
  tell, as with logs of two servers that have nothing in common.
* ``covers(source)``: whether an event lies at or before the position. A position covers exactly the events of the
  transactions that it is not behind of.
* ``bytes_to(end)``: bytes of log from here to there, as far as they are known.
* ``view()`` and ``from_view()``: the shape that operators see and write, with ``SHAPE`` in words.
* ``missing_beside(saved)``: what a position that an operator wrote lacks.
* ``BEGINS``: where a reset begins to read, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions.edges import LogEdge
from deltaforge.core.positions.mysql import MysqlPosition
from deltaforge.core.positions.postgres import PostgresPosition

__all__ = [
    "NOWHERE", "POSITION_TYPES", "LogEdge", "MysqlPosition", "Position", "PostgresPosition", "Start",
    "decode_position", "encode_position", "is_same_place",
]  # fmt: skip

Position = MysqlPosition | PostgresPosition
"""All kinds of positions."""

Start = Position | LogEdge
"""Where an operator wants reading to begin."""

POSITION_TYPES: Mapping[str, type[Position]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Position)}
"""The kind of positions of each ``type`` of source."""

NOWHERE: Position = PostgresPosition(0)
"""The position of a batch that is never saved."""

_decoder: msgspec.json.Decoder[Position] = msgspec.json.Decoder(Position)


def is_same_place(position: Position, other: Position) -> bool:
    """Whether what lies behind the one is what lies behind the other: neither is behind the other."""
    return position.is_behind(other) is False and other.is_behind(position) is False


def encode_position(position: Position) -> bytes:
    """JSON bytes of a position, to be saved."""
    return msgspec.json.encode(position)


def decode_position(data: bytes) -> Position:
    """A position from saved JSON bytes.

    Raises:
        CheckpointError: The bytes are not a position this version understands.
    """
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise CheckpointError(f"saved position cannot be read: {exc}") from exc
