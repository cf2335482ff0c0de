"""How a batch gets to a worker of another process: as log bytes with the definitions of their tables, as in a spool.

Bytewax pickles what it sends to another process, and nothing that stays in its own. Nothing is decoded for that: where
row groups are those of the kernel, their bytes are copied. What comes out at the other side is plain data that knows no
source; whoever gets batches under a key has an :class:`Arrivals` that makes batches of it again.
"""

from __future__ import annotations

import copyreg
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from deltaforge.checkpoint.spooled_batch import TableSchemaCodec, decode_batch, encode_batch
from deltaforge.core.batch import Batch
from deltaforge.core.errors import StorageError
from deltaforge.core.snapshot import SnapshotState

MAX_KNOWN_TABLES = 10_000


class PackedBatch(NamedTuple):
    """A batch on its way.

    ``record`` names tables by their place in ``tables``; ``source_name``: what their events call their source;
    ``snapshot``: as JSON, None where the batch has none.
    ``received_at`` and ``taken_at`` are seconds of the wall clock, 0 where the batch does not say: another host has
    another monotonic clock.
    """

    record: bytes
    tables: tuple[bytes, ...]
    source_name: str
    snapshot: bytes | None
    received_at: float
    taken_at: float


class Arrivals:
    """Makes batches of what came from other processes.

    Args:
        codec_of: Unpacks the tables of a source with this name. Each of them is unpacked once.
    """

    def __init__(self, codec_of: Callable[[str], TableSchemaCodec]) -> None:
        self._codec_of = codec_of
        self._tables: dict[tuple[str, bytes], Any] = {}

    def arrived(self, batch: Batch | PackedBatch) -> Batch:
        """A batch as it was sent; the same object if it did not leave this process.

        Raises:
            StorageError: It cannot be read.
        """
        return batch if isinstance(batch, Batch) else self._unpacked(batch)

    def _unpacked(self, packed: PackedBatch) -> Batch:
        try:
            tables = [self._table(packed.source_name, data) for data in packed.tables]
            batch = decode_batch(packed.record, tables.__getitem__)
        except StorageError as exc:
            raise StorageError(
                f"a batch of another process of this pipeline cannot be read: {exc.message}",
                hint="run one version of deltaforge, with or without its kernel, in all processes of a pipeline",
            ) from exc
        batch.received_at, batch.taken_at = _monotonic(packed.received_at), _monotonic(packed.taken_at)
        if packed.snapshot is not None:
            batch.snapshot = msgspec.json.decode(packed.snapshot, type=SnapshotState)
        return batch

    def _table(self, source_name: str, data: bytes) -> Any:
        table = self._tables.get((source_name, data))
        if table is None:
            if len(self._tables) >= MAX_KNOWN_TABLES:
                self._tables.clear()
            table = self._tables.setdefault((source_name, data), self._codec_of(source_name).unpack(data))
        return table


def packed_batch(batch: Batch) -> PackedBatch:
    """A batch as plain data; made once, for Bytewax asks twice.

    Raises:
        StorageError: An event holds something that is not plain data.
    """
    if not isinstance(batch.packed, PackedBatch):
        places: dict[Any, int] = {}
        record = encode_batch(batch, lambda table: places.setdefault(table, len(places)))
        batch.packed = PackedBatch(
            record,
            tuple(table.packed for table in places),
            next((table.source_name for table in places), ""),
            None if batch.snapshot is None else msgspec.json.encode(batch.snapshot),
            _wall(batch.received_at),
            _wall(batch.taken_at),
        )
    return batch.packed


def _reduced(batch: Batch) -> tuple[type[PackedBatch], PackedBatch]:
    return PackedBatch, packed_batch(batch)


copyreg.pickle(Batch, _reduced)  # type: ignore[arg-type] # the stub wants a constructor of what is pickled


def _wall(moment: float) -> float:
    return moment + time.time() - time.monotonic() if moment else 0.0


def _monotonic(moment: float) -> float:
    """A moment of the wall clock; not in the future, whatever the clock of its host says."""
    return min(moment - time.time(), 0.0) + time.monotonic() if moment else 0.0
