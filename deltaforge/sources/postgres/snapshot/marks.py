"""What a chunk has seen: the snapshot of its own transaction, which is exact.

A commit stands in the WAL before others can see it, with synchronous replication for as long as the standby is away. So
it is not the place of its commit that tells whether a chunk has seen a transaction, but its number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from deltaforge.core.errors import SourceError
from deltaforge.core.event import SourceInfo

_SNAPSHOT = re.compile(r"(\d+):(\d+):((?:\d+(?:,\d+)*)?)")
_HALF = 1 << 31
_EPOCH = 1 << 32

SHORT_HEADER = 24
LONG_HEADER = 40
"""Bytes of the headers of a page of the WAL and of the first page of a file: ``SizeOfXLogShortPHD`` and ``…Long…``."""


@dataclass(frozen=True)
class Snapshot:
    """``pg_current_snapshot()``: transactions below ``xmin`` are over; of those below ``xmax``, ``running`` are not.

    Numbers have 64 bits. Subtransactions have none here: rows of the log have the number of the whole transaction.
    ``is_standby``: it does not say which ones are running between ``xmin`` and ``xmax``.
    """

    xmin: int
    xmax: int
    running: frozenset[int]
    is_standby: bool = False

    @classmethod
    def of(cls, text: str, *, is_standby: bool = False) -> Snapshot:
        """From the text that the server prints.

        Raises:
            SourceError: It is none.
        """
        found = _SNAPSHOT.fullmatch(text)
        if found is None:
            raise SourceError("the server printed a snapshot that cannot be read", kind="incompatible")
        running = frozenset(int(xid) for xid in found[3].split(",") if xid)
        return cls(int(found[1]), int(found[2]), running, is_standby)

    def sees(self, xid: int) -> bool:
        """Whether a transaction that has committed is visible; of a standby: surely visible."""
        if xid < self.xmin:
            return True
        return not self.is_standby and xid < self.xmax and xid not in self.running

    def whole(self, xid: int) -> int:
        """The 64 bits of a number of which the log has 32. It is near: its transaction is under way, or was lately."""
        whole = self.xmax - self.xmax % _EPOCH + xid
        if whole > self.xmax + _HALF:
            return whole - _EPOCH
        return whole + _EPOCH if whole < self.xmax - _HALF else whole


@dataclass(frozen=True)
class SnapshotMark:
    """The mark of a chunk: its snapshot, and the ``server`` it was taken on."""

    snapshot: Snapshot
    server: str
    doubts_provisional: ClassVar[bool] = False

    def sees(self, source: SourceInfo) -> bool:
        """Whether the chunk has seen the transaction of an event. Of an event without one nothing is sure."""
        xid: Any = source.txId
        return isinstance(xid, int) and xid > 0 and self.snapshot.sees(self.snapshot.whole(xid))


@dataclass(frozen=True)
class Since:
    """What had been delivered when notes began to be taken: everything that had committed up to some place in the WAL.

    A transaction locks its own number from before its first change until its commit is visible. So after that place was
    reached, whoever had committed before it is visible from then on, or among those that hold such a lock, ``running``.
    (A snapshot does not say who these are: it takes everybody for running who is not older than the youngest that is
    over.) Of a standby there are none: it sends what it has replayed, and what is replayed is visible.
    """

    running: frozenset[int]
    server: str

    def running_in(self, chunk: Snapshot) -> frozenset[int]:
        """The transactions that may have been delivered, and are not visible in a chunk."""
        return frozenset(xid for xid in self.running if not chunk.sees(xid))


def reachable(lsn: int, block_bytes: int, file_bytes: int) -> int:
    """Where a reader of the WAL is once it has read everything before an insert position.

    Behind the last record of a page that is the end of the page, but the next record goes behind the header of the
    next one, and there no reader comes before it is written.
    """
    if lsn % file_bytes == LONG_HEADER:
        return lsn - LONG_HEADER
    return lsn - SHORT_HEADER if lsn % block_bytes == SHORT_HEADER else lsn
