"""What sensing and drift know of all tables of a pipeline, as bytes with a version number.

Writers emit the newest version, readers accept every older one. The control plane reads the same bytes.
"""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.core.resume import SinkProgress
from deltaforge.sensing.drift_state import TableDrift
from deltaforge.sensing.sensor import KeyState

VERSION = 1


class TableState(msgspec.Struct):
    """The sensors of one table.

    Attributes:
        row_count: Rows with an ``after`` image, sampled or not.
        keys: By column name; ``WHOLE_ROW`` for whole rows.
        qualifier: Its database or schema.
    """

    row_count: int = 0
    keys: dict[str, KeyState] = {}
    qualifier: str = ""


class SensingState(msgspec.Struct, kw_only=True):
    """Everything that is saved.

    Attributes:
        progress: Which events of the log are counted: a replay must not count them again.
    """

    v: int = VERSION
    progress: SinkProgress | None = None
    tables: dict[str, TableState] = {}
    drift: dict[str, TableDrift] = {}


class _Version(msgspec.Struct):
    v: int


class _Encoded(msgspec.Struct):
    v: int
    progress: SinkProgress | None
    tables: dict[str, msgspec.Raw]
    drift: dict[str, msgspec.Raw]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SensingState).decode
_decode_version = msgspec.msgpack.Decoder(_Version).decode


def encode_parts(progress: SinkProgress | None, tables: dict[str, msgspec.Raw], drift: dict[str, msgspec.Raw]) -> bytes:
    """The bytes of the whole state."""
    return _encode(_Encoded(VERSION, progress, tables, drift))


def decode_sensing_state(data: bytes) -> SensingState:
    """The state of a pipeline.

    Raises:
        CheckpointError: Not a state that this version understands.
    """
    try:
        version = _decode_version(data).v
        if version == VERSION:
            return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise CheckpointError(f"saved sensing state cannot be read: {exc}") from exc
    raise CheckpointError(
        f"saved sensing state has version {version}, this program reads version {VERSION}",
        hint="run the newer DeltaForge that wrote it",
    )
