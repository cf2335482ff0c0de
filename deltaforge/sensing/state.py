"""What sensing and drift know of the tables of a pipeline, as bytes with a version number.

Tables are saved in shards, so that an epoch saves what changed and no more: a recovery store is scanned in full at
every epoch, and keeps the row of a key for ever, so that a key for every table would not do (ADR 0007). Writers emit
the newest version, readers accept every older one. The control plane reads the same bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.core.resume import SinkProgress
from deltaforge.sensing.drift_state import TableDrift
from deltaforge.sensing.sensor import KeyState

VERSION = 2
"""Version 1 is the same in one piece: what it holds is saved in shards from the next epoch on."""
SHARDS = 64
"""On disk, as :func:`shard_of` is: another number would look for tables where they are not."""


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
    """What is saved under one key: that of the pipeline, or that of a shard.

    Attributes:
        progress: Which events of the log are counted: a replay must not count them again. Of the pipeline alone.
        log: Of a source with shards: which one's.
    """

    v: int = VERSION
    log: str = ONE_LOG
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
    log: str | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SensingState).decode
_decode_version = msgspec.msgpack.Decoder(_Version).decode


def encode_parts(
    progress: SinkProgress | None, tables: dict[str, msgspec.Raw], drift: dict[str, msgspec.Raw], log: str = ONE_LOG
) -> bytes:
    """The bytes of one key."""
    return _encode(_Encoded(VERSION, progress, tables, drift, log or msgspec.UNSET))


NOTHING = encode_parts(None, {}, {})


def shard_of(table: str) -> int:
    """Where a table is saved. Tables of one bare name are in one shard, whatever they are qualified with."""
    return zlib.crc32(table.rpartition(".")[2].encode("utf-8", "surrogatepass")) % SHARDS


def merged(states: Iterable[SensingState]) -> SensingState:
    """The state of a log out of those of all its keys. A table that several of them have, as after a move from a
    cluster to one process, is the one that has counted more.
    """
    whole = SensingState()
    for state in states:
        whole.progress, whole.log = _farther(whole.progress, state.progress), state.log or whole.log
        for table, known in state.tables.items():
            if table not in whole.tables or known.row_count > whole.tables[table].row_count:
                whole.tables[table] = known
        for table, drift in state.drift.items():
            if table not in whole.drift or drift.events_analyzed > whole.drift[table].events_analyzed:
                whole.drift[table] = drift
    return whole


def _farther(one: SinkProgress | None, other: SinkProgress | None) -> SinkProgress | None:
    """A log's key may have had another name, in a run with other processes."""
    if one is None or other is None:
        return one or other
    if one.position == other.position:
        return max(one, other, key=lambda progress: (progress.open_count, progress.chunk))
    return other if one.position.is_behind(other.position) else one


def decode_sensing_state(data: bytes) -> SensingState:
    """The state of one key.

    Raises:
        CheckpointError: Not a state that this version understands.
    """
    try:
        version = _decode_version(data).v
        if version <= VERSION:
            return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise CheckpointError(f"saved sensing state cannot be read: {exc}") from exc
    raise CheckpointError(
        f"saved sensing state has version {version}, this program reads up to version {VERSION}",
        hint="run the newer DeltaForge that wrote it",
    )
