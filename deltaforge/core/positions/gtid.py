"""Global transaction ids: sets of them for MySQL, positions of them for MariaDB.

A set keeps its gaps: ``u:1-20`` with ``u:25`` added is ``u:1-20:25``. Filling a gap would skip
transactions for ever.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from deltaforge.core.errors import CheckpointError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")
_MARIADB = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})")


class GtidSet:
    """A set of MySQL GTIDs ``uuid:number`` and, from MySQL 8.3 on, ``uuid:tag:number``.

    Shape: source (``uuid`` or ``uuid:tag``) to sorted, disjoint, inclusive intervals that never touch.
    """

    __slots__ = ("_sources",)

    def __init__(self, text: str = "") -> None:
        self._sources: dict[str, list[list[int]]] = {}
        for part in filter(None, (piece.strip() for piece in text.lower().split(","))):
            self._add_part(part)

    def add(self, gtid: str) -> None:
        """Add one GTID.

        Raises:
            CheckpointError: Not a GTID.
        """
        source, number = split_gtid(gtid)
        self.add_interval(source, number, number)

    def contains(self, gtid: str) -> bool:
        """Whether one GTID is in the set."""
        source, number = split_gtid(gtid)
        return self.covers(source, number, number)

    def issubset(self, other: GtidSet | MariadbGtids) -> bool:
        """Whether everything in this set is in ``other``."""
        return isinstance(other, GtidSet) and all(
            other.covers(source, low, high) for source, low, high in self.intervals()
        )

    def union(self, other: GtidSet) -> GtidSet:
        """Both together."""
        result = GtidSet(str(self))
        for source, low, high in other.intervals():
            result.add_interval(source, low, high)
        return result

    def intervals(self) -> Iterator[tuple[str, int, int]]:
        """Every ``(source, first, last)``, in the order of the text form."""
        for source in sorted(self._sources):
            for low, high in self._sources[source]:
                yield source, low, high

    def __bool__(self) -> bool:
        return bool(self._sources)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidSet) and self._sources == other._sources

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __str__(self) -> str:
        by_uuid: dict[str, list[str]] = {}
        for source in sorted(self._sources):
            uuid, _, tag = source.partition(":")
            spans = [str(low) if low == high else f"{low}-{high}" for low, high in self._sources[source]]
            by_uuid.setdefault(uuid, []).extend([tag, *spans] if tag else spans)
        return ",".join(":".join([uuid, *parts]) for uuid, parts in by_uuid.items())

    def __repr__(self) -> str:
        return f"GtidSet({str(self)!r})"

    def _add_part(self, part: str) -> None:
        uuid, *rest = [piece.strip() for piece in part.split(":")]
        if _UUID.fullmatch(uuid) is None or not rest:
            raise CheckpointError(f"not a GTID set: {part[:80]!r}")
        source = uuid
        for piece in rest:
            match = _INTERVAL.fullmatch(piece)
            if match:
                low = int(match[1])
                high = int(match[2] or match[1])
                if low < 1 or high < low:
                    raise CheckpointError(f"not an interval of a GTID set: {piece!r}")
                self.add_interval(source, low, high)
            elif _TAG.fullmatch(piece):
                source = f"{uuid}:{piece}"
            else:
                raise CheckpointError(f"not an interval of a GTID set: {piece[:40]!r}")

    def add_interval(self, source: str, low: int, high: int) -> None:
        """Add the transactions ``low`` to ``high`` of one source (``uuid`` or ``uuid:tag``)."""
        intervals = self._sources.setdefault(source, [])
        if intervals and intervals[-1][1] + 1 == low:  # the usual case: the next transaction
            intervals[-1][1] = high
            return
        merged: list[list[int]] = []
        for first, last in intervals:
            if last + 1 < low or first > high + 1:
                merged.append([first, last])
            else:
                low, high = min(low, first), max(high, last)
        merged.append([low, high])
        self._sources[source] = sorted(merged)

    def covers(self, source: str, low: int, high: int) -> bool:
        """Whether the transactions ``low`` to ``high`` of one source are in the set."""
        intervals = self._sources.get(source, [])
        at = bisect_right(intervals, low, key=lambda pair: pair[0]) - 1
        return at >= 0 and high <= intervals[at][1]


def split_gtid(gtid: str) -> tuple[str, int]:
    """``uuid:7`` or ``uuid:tag:7`` as source and number.

    Raises:
        CheckpointError: Not a GTID.
    """
    source, _, number = gtid.lower().rpartition(":")
    if not number.isdigit() or _UUID.fullmatch(source.partition(":")[0]) is None:
        raise CheckpointError(f"not a GTID: {gtid[:80]!r}")
    return source, int(number)


class MariadbGtids:
    """A MariaDB GTID position: the last transaction of each replication domain."""

    __slots__ = ("_domains",)

    def __init__(self, text: str = "") -> None:
        self._domains: dict[int, tuple[int, int]] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            self.add(part)

    def add(self, gtid: str) -> None:
        """Move the domain of ``domain-server-sequence`` to it.

        Raises:
            CheckpointError: Not a MariaDB GTID.
        """
        domain, server, sequence = split_mariadb_gtid(gtid)
        self._domains[domain] = (server, sequence)

    def add_interval(self, source: str, _low: int, high: int) -> None:
        """Move the domain of ``source`` (``domain-server``) to the last of the transactions up to ``high``."""
        self.add(f"{source}-{high}")

    def contains(self, gtid: str) -> bool:
        """Whether a transaction lies at or before this position in its domain."""
        domain, _, sequence = split_mariadb_gtid(gtid)
        return domain in self._domains and sequence <= self._domains[domain][1]

    def issubset(self, other: GtidSet | MariadbGtids) -> bool:
        """Whether ``other`` is as far in every domain, whichever server wrote what is last there."""
        return isinstance(other, MariadbGtids) and all(map(other.contains, filter(None, str(self).split(","))))

    def domains(self) -> dict[int, tuple[int, int]]:
        """Domain to (server id, sequence)."""
        return dict(self._domains)

    def __bool__(self) -> bool:
        return bool(self._domains)

    def __str__(self) -> str:
        return ",".join(f"{domain}-{server}-{seq}" for domain, (server, seq) in sorted(self._domains.items()))


def split_mariadb_gtid(gtid: str) -> tuple[int, int, int]:
    """``domain-server-sequence`` as numbers.

    Raises:
        CheckpointError: Not a MariaDB GTID.
    """
    match = _MARIADB.fullmatch(gtid)
    if match is None:
        raise CheckpointError(f"not a MariaDB GTID: {gtid[:80]!r}")
    return int(match[1]), int(match[2]), int(match[3])
