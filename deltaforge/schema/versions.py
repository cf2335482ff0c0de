"""The versions of one table, ordered as they were registered and as they follow each other in the source's log."""

from __future__ import annotations

from bisect import bisect_right, insort
from datetime import datetime

import msgspec

from deltaforge.core.positions import Position
from deltaforge.core.table import TableSchema


class LogPoint(msgspec.Struct, frozen=True):
    """Where in a source's log a row stands.

    Points of one server are compared by ``order``, which must grow along the stream; points of different servers
    cannot be compared. ``position`` is the same for people.
    """

    server: str
    order: tuple[int, int]
    position: Position


class Definition(msgspec.Struct, frozen=True):
    """A table definition that somebody found: in the log, or in the catalog.

    Attributes:
        schema: All that is known.
        hash: The fingerprint, ``sha256:`` + 64 hex. Events carry it.
        signature: What the log alone says of it, so that a row can find its version again. Equal definitions
            have equal signatures.
    """

    schema: TableSchema
    hash: str
    signature: str


class SchemaVersion(msgspec.Struct, frozen=True):
    """A registered definition. ``version`` counts from 1 for each table, ``sequence`` is that of the store's log."""

    version: int
    hash: str
    signature: str
    schema: TableSchema
    since: LogPoint
    registered_at: datetime
    sequence: int


class Registered(msgspec.Struct, frozen=True, tag_field="kind", tag="version"):
    """Entry of the log: a new version."""

    version: int
    hash: str
    signature: str
    schema: TableSchema
    since: LogPoint
    registered_at: datetime


class Moved(msgspec.Struct, frozen=True, tag_field="kind", tag="since"):
    """Entry of the log: a known version turned out to be valid from an earlier point on."""

    version: int
    since: LogPoint


class Described(msgspec.Struct, frozen=True, tag_field="kind", tag="schema"):
    """Entry of the log: the catalog says more of a version than was known (declared types, defaults)."""

    version: int
    schema: TableSchema


Record = Registered | Moved | Described


class TableVersions:
    """All versions of one table. Pure; :meth:`apply` with the log's entries in order gives the same again.

    Attributes:
        all: By version number; version N at index N - 1.
    """

    def __init__(self) -> None:
        self.all: list[SchemaVersion] = []
        self._starts: dict[str, list[tuple[tuple[int, int], int]]] = {}
        self._server = ""

    def apply(self, record: Record, sequence: int) -> SchemaVersion:
        """Take in a record that has become entry ``sequence`` of the log; the version that it is about.

        Raises:
            ValueError: It does not follow from the records before it.
        """
        if isinstance(record, Registered):
            return self._register(record, sequence)
        if not 0 < record.version <= len(self.all):
            raise ValueError(f"version {record.version} was never registered")
        known = self.all[record.version - 1]
        if isinstance(record, Moved):
            self._starts[known.since.server].remove((known.since.order, known.version))
            self._begin(record.since, known.version)
            changed = msgspec.structs.replace(known, since=record.since)
        else:
            changed = msgspec.structs.replace(known, schema=record.schema)
        self.all[record.version - 1] = changed
        return changed

    def valid_at(self, point: LogPoint) -> SchemaVersion | None:
        """The version that rows at a point have; what another server had counts as before everything of this one."""
        starts = self._starts.get(point.server, [])
        at = bisect_right(starts, (point.order, len(self.all)))
        if at:
            return self.all[starts[at - 1][1] - 1]
        others = [version for version in self.all if version.since.server != point.server]
        return others[-1] if others else None

    def next_after(self, point: LogPoint) -> SchemaVersion | None:
        """The version that begins next behind a point."""
        starts = self._starts.get(point.server, [])
        at = bisect_right(starts, (point.order, len(self.all)))
        return self.all[starts[at][1] - 1] if at < len(starts) else None

    def starts_after(self, point: LogPoint) -> list[tuple[int, int]]:
        """Where versions begin behind a point, in order."""
        starts = self._starts.get(point.server, [])
        return [order for order, _ in starts if order > point.order]

    def at_sequence(self, sequence: int) -> SchemaVersion | None:
        """The newest version that was registered up to an entry of the store's log."""
        found = [version for version in self.all if version.sequence <= sequence]
        return found[-1] if found else None

    @property
    def latest(self) -> SchemaVersion:
        """The version at the end of the log of the server that was heard of last.

        Raises:
            IndexError: Nothing was registered.
        """
        return self.all[self._starts[self._server][-1][1] - 1] if self._server in self._starts else self.all[-1]

    def _register(self, record: Registered, sequence: int) -> SchemaVersion:
        if record.version != len(self.all) + 1:
            raise ValueError(f"version {record.version} follows version {len(self.all)}")
        version = SchemaVersion(**msgspec.structs.asdict(record), sequence=sequence)
        self.all.append(version)
        self._begin(record.since, record.version)
        return version

    def _begin(self, since: LogPoint, version: int) -> None:
        insort(self._starts.setdefault(since.server, []), (since.order, version))
        self._server = since.server
