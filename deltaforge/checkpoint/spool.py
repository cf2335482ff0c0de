"""What a sink could not take yet, on disk: batches in segment files, in the order of the log.

A segment is a file of records: definitions of tables, and batches whose rows refer to them by number. It can be read
without any other segment. Records are appended, synced at the barrier, and gone with their whole segment once the
sink has acked them. What was appended after the last saved mark is cut off at the next start, because the source
then reads it again.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deltaforge.checkpoint.durable import sync_folder
from deltaforge.checkpoint.spooled_batch import TableSchemaCodec, decode_batch, encode_batch
from deltaforge.checkpoint.state import SpoolPlace
from deltaforge.core.batch import Batch
from deltaforge.core.errors import StorageError
from deltaforge.observability.kill_points import reached
from deltaforge.storage.private_files import make_folders

SEGMENT_BYTES = 64 << 20
"""A segment of this size is followed by another one."""
_MAGIC = b"DFspool1"
_HEADER = struct.Struct("<IIIB")
"""Bytes of the payload, their CRC-32, events in it, kind."""
_TABLE, _BATCH = 1, 2
START = SpoolPlace(1, len(_MAGIC))


class Spool:
    """Appended to by one thread, read by another.

    Args:
        directory: Of this spool alone; made when something is appended. Its files are readable by the owner only.
        tables: Of the source whose batches these are.
        first: Where what the sink has not acked begins.
        end: Where what was saved ends. What was appended behind it is removed.
        segment_bytes: Size after which a segment is followed by another one.

    Raises:
        StorageError: The files cannot be opened, or do not reach as far as ``end``.

    Attributes:
        end: Behind the newest record.
        byte_count: Of all files.
        waiting_count: Events between ``first`` and ``end`` when it was opened.
    """

    def __init__(
        self,
        directory: Path,
        tables: TableSchemaCodec,
        first: SpoolPlace = START,
        end: SpoolPlace = START,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._directory = directory
        self._tables = tables
        self._segment_bytes = segment_bytes
        self._sizes: dict[int, int] = {}
        self._file: IO[bytes] | None = None
        self._numbers: dict[int, tuple[int, Any]] = {}
        self._pending: list[bytes] = []
        self._is_dirty = False
        self._reader: SegmentReader | None = None
        self.end = end
        with _storage_errors("opened", directory):
            self._find_segments(first, end)
        self.waiting_count = self._count_events(first) if first < end else 0

    @property
    def byte_count(self) -> int:
        return sum(self._sizes.values())

    def bytes_behind(self, place: SpoolPlace) -> int:
        """Bytes from a place on."""
        sizes = list(self._sizes.items())
        return sum(
            size - (place.offset if number == place.segment else 0) for number, size in sizes if number >= place.segment
        )

    def append(self, batch: Batch) -> None:
        """Write a batch behind all others; durable after :meth:`sync`.

        Raises:
            StorageError: The disk is full or broken; nothing was appended.
            ProtocolError: The rows cannot be decoded, and had to be.
        """
        self._pending = []
        with _storage_errors("written", self._directory):
            if self._file is None or self.end.offset >= self._segment_bytes:
                self._begin_segment()
            known_count = len(self._numbers)
            try:
                payload = encode_batch(batch, self._number_of)
                self._write([*self._pending, *_record(_BATCH, payload, batch.event_count)])
            except BaseException:
                self._numbers = dict(list(self._numbers.items())[:known_count])  # the others were not written
                raise

    def sync(self) -> None:
        """Make everything that was appended durable.

        Raises:
            StorageError: The disk is full or broken.
        """
        if self._file is None or not self._is_dirty:
            return
        reached("during_spool_fsync")
        with _storage_errors("synced", self._directory):
            os.fdatasync(self._file.fileno())
        self._is_dirty = False

    def read(self, place: SpoolPlace) -> tuple[Batch, SpoolPlace]:
        """The batch at a place before :attr:`end`, and the place behind it.

        Raises:
            StorageError: The files are damaged.
        """
        with _storage_errors("read", self._directory):
            place = self._next_record(place) or place
            reader = self._reader
            if reader is None or reader.place != place:
                self._close_reader()
                reader = self._reader = SegmentReader(self._path(place.segment), place, self._tables)
            batch = reader.batch()
            return batch, reader.place

    def has_more(self, place: SpoolPlace) -> bool:
        """Whether there is a batch at a place or behind it."""
        return self._next_record(place) is not None

    def _next_record(self, place: SpoolPlace) -> SpoolPlace | None:
        """Where the next record begins: at a place, or in a later segment."""
        sizes = dict(self._sizes)
        if place.offset < sizes.get(place.segment, 0):
            return place
        later = [number for number, size in sizes.items() if number > place.segment and size > len(_MAGIC)]
        return SpoolPlace(min(later), len(_MAGIC)) if later else None

    def begin_again(self) -> SpoolPlace:
        """Everything is acked: the next record begins a new segment, so that the ones before can go."""
        if self._file is not None and self.end.offset > len(_MAGIC):
            self._file.close()
            self._file = None
            self._is_dirty = False
            self.end = SpoolPlace(self.end.segment + 1, len(_MAGIC))
        return self.end

    def trim(self, first: SpoolPlace) -> None:
        """Remove segments before a place: a saved state says that they are not needed.

        Raises:
            StorageError: The files cannot be removed.
        """
        for number in [number for number in self._sizes if number < first.segment]:
            with _storage_errors("trimmed", self._directory):
                self._path(number).unlink(missing_ok=True)
            del self._sizes[number]

    def close(self) -> None:
        """Close the files. Never raises."""
        self._close_reader()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _find_segments(self, first: SpoolPlace, end: SpoolPlace) -> None:
        """Take over what lies between two places. If that is nothing, older files stay until the first :meth:`trim`."""
        for path in sorted(self._directory.glob("*.segment")):
            number, size = int(path.stem), path.stat().st_size
            if first < end and not first.segment <= number <= end.segment:
                path.unlink()
                continue
            if first < end and number == end.segment and size > end.offset:
                os.truncate(path, end.offset)
                size = end.offset
            self._sizes[number] = size
        if first < end and not self._reaches(first, end):
            raise StorageError(
                f"the spool of sink {self._directory.name} is not as long as it was when it was saved",
                hint="put its files back, or reset the checkpoint of this sink",
            )
        # What comes now goes to a segment of its own, whose tables are numbered anew.
        self.end = SpoolPlace(max([end.segment, *self._sizes]) + 1, len(_MAGIC))

    def _reaches(self, first: SpoolPlace, end: SpoolPlace) -> bool:
        is_whole = all(number in self._sizes for number in range(first.segment, end.segment))
        return is_whole and self._sizes.get(end.segment, 0) >= end.offset

    def _count_events(self, first: SpoolPlace) -> int:
        count = 0
        for number in sorted(self._sizes):
            start = first if number == first.segment else SpoolPlace(number, len(_MAGIC))
            with _storage_errors("read", self._directory):
                count += SegmentReader.event_count(self._path(number), start)
        return count

    def _begin_segment(self) -> None:
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None
            self.end = SpoolPlace(self.end.segment + 1, len(_MAGIC))
        make_folders(self._directory)
        handle = os.open(self._path(self.end.segment), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "r+b", buffering=0)
        self._numbers = {}
        try:
            self._put([_MAGIC], 0)
            sync_folder(self._directory)
        except OSError:
            self._file.close()
            self._file = None
            raise

    def _number_of(self, table: Any) -> int:
        known = self._numbers.get(id(table))
        if known is None:
            self._pending += _record(_TABLE, table.packed, 0)
            known = self._numbers[id(table)] = len(self._numbers), table  # kept, so that no other gets its id
        return known[0]

    def _write(self, parts: list[bytes]) -> None:
        size = self._put(parts, self.end.offset)
        self.end = SpoolPlace(self.end.segment, self.end.offset + size)
        self._is_dirty = True

    def _put(self, parts: list[bytes], offset: int) -> int:
        """Write all of it, or cut off what was written of it; the number of bytes."""
        if self._file is None:
            raise StorageError(f"the spool {self._directory.name} is closed")
        handle, size = self._file.fileno(), sum(map(len, parts))
        try:
            done = os.pwritev(handle, parts, offset)
            while done < size:
                done += os.pwrite(handle, b"".join(parts)[done:], offset + done)
        except OSError:
            os.ftruncate(handle, offset)
            raise
        self._sizes[self.end.segment] = offset + size
        return size

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:010}.segment"


class SegmentReader:
    """Reads the batches of one segment from a place on.

    Attributes:
        place: Behind the last record that was read.
    """

    def __init__(self, path: Path, place: SpoolPlace, tables: TableSchemaCodec) -> None:
        self._file = path.open("rb")
        self._codec = tables
        self._tables: list[Any] = []
        self.place = SpoolPlace(place.segment, len(_MAGIC))
        try:
            self._skip_to(place)
        except Exception:
            self._file.close()
            raise

    def _skip_to(self, place: SpoolPlace) -> None:
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise StorageError(f"{Path(self._file.name).name} is no segment of a spool")
        while self.place < place:
            self._next(is_wanted=False)

    def batch(self) -> Batch:
        """The next batch."""
        while True:
            payload = self._next(is_wanted=True)
            if payload is not None:
                return decode_batch(payload, self._tables.__getitem__)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @classmethod
    def event_count(cls, path: Path, place: SpoolPlace) -> int:
        """Events in a segment from a place on."""
        count, at = 0, place.offset
        with path.open("rb") as file:
            file.seek(at)
            while header := file.read(_HEADER.size):
                size, _, events, _ = _HEADER.unpack(header)
                file.seek(size, os.SEEK_CUR)
                count += events
        return count

    def _next(self, *, is_wanted: bool) -> bytes | None:
        """The payload of the next record if it is a batch."""
        header = self._file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise StorageError(f"{Path(self._file.name).name} ends at byte {self.place.offset}, in a record")
        size, checksum, _, kind = _HEADER.unpack(header)
        payload = None
        if is_wanted or kind == _TABLE:
            payload = self._file.read(size)
            if len(payload) != size or zlib.crc32(payload) != checksum:
                raise StorageError(f"{Path(self._file.name).name} is damaged at byte {self.place.offset}")
        else:
            self._file.seek(size, os.SEEK_CUR)
        self.place = SpoolPlace(self.place.segment, self.place.offset + _HEADER.size + size)
        if kind == _TABLE and payload is not None:
            self._tables.append(self._codec.unpack(payload))
            return None
        return payload


def remove_spool(directory: Path) -> None:
    """Forget what waits for a sink that is no more.

    Raises:
        StorageError: The files cannot be removed.
    """
    if directory.exists():
        with _storage_errors("removed", directory):
            shutil.rmtree(directory)


def _record(kind: int, payload: bytes, event_count: int) -> list[bytes]:
    return [_HEADER.pack(len(payload), zlib.crc32(payload), event_count, kind), payload]


@contextmanager
def _storage_errors(verb: str, directory: Path) -> Iterator[None]:
    """Makes an OSError an error that says which spool, and what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the spool of sink {directory.name} cannot be {verb}: {error.strerror or error}",
            hint="free space on the disk of the state directory, or mend it; nothing is lost",
        ) from error
