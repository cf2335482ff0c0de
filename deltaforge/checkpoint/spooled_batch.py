"""The bytes of one batch on disk: exact, plain data.

Row groups of the kernel are kept as the log bytes they hold, with a number for each captured table; everything else as
events. What was written is read by the process that wrote it or by a later one, perhaps with a newer version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from deltaforge.checkpoint.spooled_events import SpooledEvents, restored_events, restored_value, spooled_events
from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.errors import CheckpointError, ProtocolError, StorageError, UnsupportedValueError
from deltaforge.core.positions import decode_position, encode_position
from deltaforge.core.snapshot import ChunkMark
from deltaforge.kernel import backend, compiled

VERSION = 1
_RESET = "reset the checkpoint of the sink, which reads the log again instead"


class TableSchemaCodec(Protocol):
    """Captured tables out of plain data: what a source needs to read row groups again."""

    def unpack(self, data: bytes) -> Any:
        """A captured table (the ``table`` of a row group) of which ``data`` was the ``packed``: it makes equal events.

        Raises:
            StorageError: The bytes are no table that this version understands.
        """


class SpooledRows(msgspec.Struct, array_like=True, tag="rows"):
    """Row groups of the kernel: the numbers of their tables, and what its ``pack_groups`` made."""

    tables: list[int]
    block: bytes


class SpooledBatch(msgspec.Struct, array_like=True):
    """A batch on disk. ``received_ms``: wall clock, None where the batch did not say."""

    version: int
    position: bytes
    is_tx_end: bool
    byte_count: int
    received_ms: int | None
    parts: list[SpooledRows | SpooledEvents]


class SpooledChunk(SpooledBatch, array_like=True):
    """The same of a snapshot's chunk."""

    chunk: ChunkMark | None = None


class _Versioned(msgspec.Struct, array_like=True):
    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SpooledChunk, ext_hook=restored_value).decode
_decode_version = msgspec.msgpack.Decoder(_Versioned).decode


def encode_batch(batch: Batch, number_of: Callable[[Any], int]) -> bytes:
    """A batch as bytes.

    Args:
        batch: Of whatever groups; it is not changed.
        number_of: Gives the number under which the reader will find a captured table.

    Raises:
        ProtocolError: Bytes of the log that have to be decoded for it break their format.
        StorageError: An event holds something that is not plain data.
    """
    try:
        return _encode(_record(batch, number_of, looks_at_all=False))
    except (ValueError, OverflowError):
        pass  # a number or text in a plain image that has to be written in another way
    try:
        return _encode(_record(batch, number_of, looks_at_all=True))
    except (ValueError, OverflowError, TypeError) as exc:
        raise StorageError(f"a batch cannot be spooled: an event has a field that is not plain data: {exc}") from exc


def decode_batch(data: bytes, table_of: Callable[[int], Any]) -> Batch:
    """The batch again: the same events in the same order.

    Args:
        data: What :func:`encode_batch` gave.
        table_of: Gives the captured table of a number.

    Raises:
        StorageError: The bytes are no batch, or none that this version or this process can read.
    """
    try:
        _check_version(_decode_version(data).version)
        record = _decode(data)
        position = decode_position(record.position)
    except (ValueError, ArithmeticError, RecursionError, UnsupportedValueError, CheckpointError) as exc:
        raise StorageError(f"a spooled batch cannot be read: {exc}", hint=_RESET) from exc
    groups: list[EventGroup] = []
    for part in record.parts:
        if isinstance(part, SpooledRows):
            groups += _unpacked(part, table_of)
        elif part.events:
            groups.append(DecodedGroup(restored_events(part)))
    received_at = 0.0 if record.received_ms is None else record.received_ms / 1000 - _epoch()
    batch = Batch.of_groups(
        groups, position, is_tx_end=record.is_tx_end, byte_count=record.byte_count, received_at=received_at
    )
    batch.chunk = record.chunk
    batch.now_ns = time.time_ns() if record.received_ms is None else record.received_ms * 1_000_000
    return batch


def _record(batch: Batch, number_of: Callable[[Any], int], *, looks_at_all: bool) -> SpooledBatch:
    received_ms = round((batch.received_at + _epoch()) * 1000) if batch.received_at else None
    parts = _parts(list(batch.groups), number_of, looks_at_all=looks_at_all)
    position = encode_position(batch.position)
    if batch.chunk is None:
        return SpooledBatch(VERSION, position, batch.is_tx_end, batch.byte_count, received_ms, parts)
    return SpooledChunk(VERSION, position, batch.is_tx_end, batch.byte_count, received_ms, parts, batch.chunk)


def _parts(
    groups: list[EventGroup], number_of: Callable[[Any], int], *, looks_at_all: bool
) -> list[SpooledRows | SpooledEvents]:
    parts: list[SpooledRows | SpooledEvents] = []
    at = 0
    while at < len(groups):
        start = at
        block, tables, at = backend.pack_groups(groups, at)
        if at > start:
            parts.append(SpooledRows([number_of(table) for table in tables], block))
            continue
        while at < len(groups) and not _is_packed(groups[at]):
            at += 1
        events = (event for group in groups[start:at] for event in group.events())
        parts.append(spooled_events(events, looks_at_all=looks_at_all))
    return parts


def _is_packed(group: EventGroup) -> bool:
    return compiled is not None and type(group) is compiled.RowGroup


def _unpacked(part: SpooledRows, table_of: Callable[[int], Any]) -> Sequence[EventGroup]:
    if compiled is None:
        raise StorageError(
            "a spooled batch holds log bytes that only the compiled kernel reads",
            hint=f"run with the compiled kernel, or {_RESET}",
        )
    try:
        return compiled.unpack_groups(part.block, [table_of(number) for number in part.tables])
    except ProtocolError as exc:
        raise StorageError(f"a spooled batch cannot be read: {exc}", hint=_RESET) from exc


def _check_version(version: int) -> None:
    if version != VERSION:
        raise StorageError(
            f"a spooled batch has version {version}, expected {VERSION}",
            hint=f"run the version of deltaforge that wrote it, or {_RESET}",
        )


def _epoch() -> float:
    """When ``time.monotonic()`` was 0 on the wall clock, in seconds since 1970."""
    return time.time() - time.monotonic()
