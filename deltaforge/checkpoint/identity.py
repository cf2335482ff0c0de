"""Which server a source was read from last, and what was found when it became another one. Contract 04 section 8.

Kept in the key-value part of the storage, namespace ``failover``: ``identity:{source_id}``,
``{source_id}/reconciliation`` and ``{source_id}/published``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.storage.base import KeyValues

NAMESPACE = "failover"

TableName = tuple[str, str]

_T = TypeVar("_T")


class ServerIdentity(msgspec.Struct, frozen=True, omit_defaults=True):
    """One server: ``server_uuid`` (MariaDB: server id and host name), or PostgreSQL's system identifier.

    ``timeline`` is PostgreSQL's; 0: there is none, or it may change while one is connected (a standby).
    """

    server: str
    timeline: int = 0

    def is_same(self, other: ServerIdentity) -> bool:
        """Whether both are one server, as far as both are known."""
        is_timeline = self.timeline == other.timeline or 0 in (self.timeline, other.timeline)
        return self.server == other.server and is_timeline

    def __str__(self) -> str:
        return f"{self.server} (timeline {self.timeline})" if self.timeline else self.server


class Known(msgspec.Struct, frozen=True):
    """What is stored of the server. ``tables``: those that were captured there; None: they were not read."""

    identity: ServerIdentity
    tables: tuple[TableName, ...] | None = None


class PublishedTable(msgspec.Struct, frozen=True):
    """A table that a publication names. ``entry`` is the oid of its entry there."""

    schema: str
    table: str
    entry: int
    has_filter: bool
    has_columns: bool

    @property
    def id(self) -> TableName:
        """Schema and table."""
        return self.schema, self.table

    @property
    def name(self) -> str:
        """Both in one text."""
        return f"{self.schema}.{self.table}"


class Published(msgspec.Struct, frozen=True):
    """What a PostgreSQL publication published when it was looked at last.

    Attributes:
        server: The system it is on; oids mean nothing elsewhere.
        digest: Of the entries of its tables.
        schemas: Oids of its entries for all tables of a schema, by schema.
        tables: By oid.
    """

    server: str
    oid: int
    is_all: bool
    is_via_root: bool
    operations: tuple[str, ...]
    digest: str
    schemas: dict[str, int]
    tables: dict[int, PublishedTable]


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference between what is registered of a table and what the new server has.

    ``kind``: ``column_added``, ``column_dropped``, ``type_changed``, ``table_dropped`` or ``primary_key_changed``.
    """

    kind: str
    table: str
    column: str = ""
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        what = f"{self.kind.replace('_', ' ')}: {self.table}{'.' if self.column else ''}{self.column}"
        return f"{what} ({self.before} -> {self.after})" if self.before and self.after else what


class Reconciliation(msgspec.Struct, frozen=True):
    """What was found at a new server.

    Attributes:
        id: Hash of both identities: the same change that is found again replaces its record.
        outcome: ``resumed``, ``halted`` or ``position_lost``.
        reason: Why it did not resume; else empty.
        position: Where reading was to go on, as REST shows it.
    """

    id: str
    previous: ServerIdentity
    current: ServerIdentity
    outcome: str
    recorded_at: datetime
    position: dict[str, Any] = {}
    reason: str = ""
    deltas: tuple[Delta, ...] = ()


class FailoverLog:
    """The stored identity and the last reconciliation of one source.

    Args:
        kv: Of the storage backend.
        source_id: ``spec.source.config.id``.
        now: The time of records, in UTC.
    """

    def __init__(
        self, kv: KeyValues, source_id: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._kv = kv
        self._identity_key, self._reconciliation_key = f"identity:{source_id}", f"{source_id}/reconciliation"
        self._published_key = f"{source_id}/published"
        self._now = now

    def known(self) -> Known | None:
        """The server that was read last; None if there was none.

        Raises:
            CheckpointError: What is stored was not written by this version.
        """
        return self._read(self._identity_key, Known)

    def remember(self, known: Known) -> None:
        """This server is read now."""
        if known != self.known():
            self._kv.put(NAMESPACE, self._identity_key, msgspec.json.encode(known))

    def reconciliation(self) -> Reconciliation | None:
        """What was found at the last change of the server.

        Raises:
            CheckpointError: What is stored was not written by this version.
        """
        return self._read(self._reconciliation_key, Reconciliation)

    def record(self, previous: ServerIdentity, current: ServerIdentity, outcome: str, **found: Any) -> None:
        """Store what was found; finding the same again changes nothing.

        Args:
            previous: The server before.
            current: The server now.
            outcome: See :class:`Reconciliation`, as the rest.
            found: ``position``, ``reason``, ``deltas``.
        """
        digest = hashlib.sha256(f"{previous}|{current}".encode()).hexdigest()
        record = Reconciliation(digest, previous, current, outcome, self._now(), **found)
        stored = self.reconciliation()
        if stored is None or msgspec.structs.replace(stored, recorded_at=record.recorded_at) != record:
            self._kv.put(NAMESPACE, self._reconciliation_key, msgspec.json.encode(record))

    def published(self) -> Published | None:
        """What was published when the publication was looked at last; None before.

        Raises:
            CheckpointError: What is stored was not written by this version.
        """
        return self._read(self._published_key, Published)

    def remember_published(self, published: Published) -> None:
        """This is published now."""
        self._kv.put(NAMESPACE, self._published_key, msgspec.json.encode(published))

    def forget(self) -> None:
        """Delete all of it; the pipeline is deleted."""
        self._kv.delete(NAMESPACE, self._published_key)
        self._kv.delete(NAMESPACE, self._identity_key)
        self._kv.delete(NAMESPACE, self._reconciliation_key)

    def _read(self, key: str, kind: type[_T]) -> _T | None:
        data = self._kv.get(NAMESPACE, key)
        try:
            return None if data is None else msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as exc:
            raise CheckpointError(f"stored {key} cannot be read: {exc}", hint="delete it from the storage") from exc
