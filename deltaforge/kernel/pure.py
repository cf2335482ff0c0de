"""The backend without a compiled kernel: it takes transactions as they begin, and declines everything else."""

from __future__ import annotations

from deltaforge.core.batch import EventGroup
from deltaforge.core.event import EventIds
from deltaforge.kernel.captured import CapturedTable


class Transaction:
    """What is known of a transaction when it begins.

    Attributes:
        ordinal: Changes so far, captured or not: ids do not depend on the capture list.
        savepoints: Names to the number of groups before them.
        thread: The connection that began it, once that is known.
        last_commit_lsn: Where the transaction before it ended; 0 when that is not known.

    Args:
        connector: ``mysql`` or ``postgresql``; part of event ids.
        origin: Where it began: the source of its GTID, else the server.
        identity: The GTID, ``file:pos`` of the first event, or the commit LSN.
        gtid: The one GTID; empty without GTIDs.
        commit_us: Commit time where it began, in microseconds; None when the log does not say.
    """

    def __init__(self, connector: str, origin: str, identity: str, gtid: str, commit_us: int | None) -> None:
        self.gtid = gtid
        self.commit_us = commit_us
        self.thread: int | None = None
        self.last_commit_lsn = 0
        self.ordinal = 0
        self.savepoints: dict[str, int] = {}
        self.ids = EventIds.of(connector, origin, identity)

    @property
    def commit_ms(self) -> int | None:
        """The same in milliseconds."""
        return None if self.commit_us is None else self.commit_us // 1000


def split_packets(_buffer: bytearray, at: int, _size: int) -> tuple[list[bytes], int]:
    """No packet is taken."""
    return [], at


def mysql_group(*_: object) -> None:
    """No row event is taken."""


class ResultRows:
    """The images of rows that Python has read."""

    def __init__(self, _columns: object) -> None:
        self._images = bytearray()
        self.row_count = 0

    @property
    def byte_count(self) -> int:
        """Bytes of the images."""
        return len(self._images)

    def take(self, _buffer: bytearray, at: int, _size: int, _room: int) -> tuple[int, int]:
        """No packet is taken."""
        return at, -1

    def put(self, image: bytes) -> None:
        """Add the image of a row."""
        self._images += image
        self.row_count += 1

    def images(self) -> bytes:
        """The images, one behind the other; none are left here."""
        found, self._images, self.row_count = bytes(self._images), bytearray(), 0
        return found


def mysql_copied_rows(*_: object) -> None:
    """No rows are taken."""


def postgres_copied_rows(*_: object) -> None:
    """Who has no kernel has no such block."""


class Targets:
    """What Python has found, event by event."""

    def __init__(self) -> None:
        self._targets: list[tuple[str, bytes | None, dict[str, str]]] = []

    def __len__(self) -> int:
        return len(self._targets)

    def destination(self, index: int) -> str:
        """Where the event at ``index`` goes."""
        return self._targets[index][0]

    def key(self, index: int) -> bytes | None:
        """Its key; None for that which messages have without a template."""
        return self._targets[index][1]

    def headers(self, index: int) -> dict[str, str]:
        """Its headers."""
        return self._targets[index][2]

    def destinations(self) -> list[str]:
        """Each destination once."""
        return list(dict.fromkeys(target[0] for target in self._targets))

    def run_end(self, index: int, stop: int) -> int:
        """The first place up to ``stop`` with another destination."""
        destination = self._targets[index][0]
        return next((n for n in range(index, stop) if self._targets[n][0] != destination), stop)

    def append(self, destination: str, key: bytes | None, headers: dict[str, str]) -> None:
        """Add an event."""
        self._targets.append((destination, key, headers))

    def extend(self, _groups: list[EventGroup], start: int) -> int:
        """No group is taken."""
        return start


class TargetTemplates:
    """Renders nothing."""

    def __init__(self, *_: object) -> None:
        self.targets = Targets

    def missing_paths(self) -> list[str]:
        """None that this backend knows of."""
        return []


def row_sample(*_: object, **_terms: object) -> None:
    """No rows are sampled."""


def xadd_commands(*_: object) -> None:
    """No commands are made."""


def split_groups(_groups: list[EventGroup], start: int, *_: object) -> int:
    """No group is split."""
    return start


def pack_groups(_groups: list[EventGroup], start: int) -> tuple[bytes, list[CapturedTable], int]:
    """No group is packed."""
    return b"", [], start
