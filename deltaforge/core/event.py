"""The change event: one row change, ready to be put in an envelope.

A :data:`RowImage` holds exactly the JSON values of contract 03 section 4 ("ours"): numbers, strings,
booleans, None, lists and objects; bytes as ``{"_base64": "…"}``; decimals as strings. Numbers
inside JSON columns that a float cannot hold are :class:`decimal.Decimal` and are written as numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from deltaforge.core.table import TableId, TableSchema

Op = Literal["c", "u", "d", "r", "t"]
RowImage = dict[str, Any]

TX_ID_LENGTH = 24
"""Characters at the beginning of an event id that all events of a transaction share, see :class:`EventIds`."""
UNCHANGED_TOAST: RowImage = {"_unchanged": True}
"""Stands for a PostgreSQL TOAST value that the update did not touch and the log does not hold."""


class SourceInfo(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where an event comes from, in the wire order of contract 03 section 2; unset keys are omitted.

    ``pos`` is the end position of the rows event as ``SHOW BINLOG EVENTS`` prints it. ``lsn`` is the
    LSN of the transaction's commit, so it never falls along the stream.
    """

    version: str
    connector: str
    name: str
    ts_ms: int
    db: str
    schema: str | UnsetType = UNSET
    table: str
    snapshot: str | UnsetType = UNSET
    server_id: int | UnsetType = UNSET
    gtid: str | UnsetType = UNSET
    file: str | UnsetType = UNSET
    pos: int | UnsetType = UNSET
    row: int | UnsetType = UNSET
    lsn: str | UnsetType = UNSET
    txId: int | UnsetType = UNSET  # noqa: N815 - the key of the contract
    xmin: int | UnsetType = UNSET
    sequence: str | UnsetType = UNSET

    @property
    def qualified_table(self) -> str:
        """``schema.table`` with a schema, else ``db.table``."""
        return f"{self.schema or self.db}.{self.table}"


class Transaction(msgspec.Struct, omit_defaults=True):
    """The source transaction of an event. ``id``: the one GTID (MySQL, MariaDB) or the xid as text."""

    id: str
    total_order: int | UnsetType = UNSET
    data_collection_order: int | UnsetType = UNSET


class Routing(msgspec.Struct):
    """Where a processor wants an event to go. Never on the wire."""

    topic: str = ""
    key: str | None = None
    headers: dict[str, str] = {}


SnapshotMark = Literal["first", "first_in_data_collection", "last_in_data_collection", "last", "incremental"]
"""What the row of a copy is among those of its copy, where it is more than one of them."""


class LoggedMessage(msgspec.Struct):
    """A message that was written into the log of PostgreSQL, as it stands there."""

    prefix: str
    content: bytes
    is_transactional: bool


class TableChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a statement made of a table.

    Attributes:
        table: By the name that it has then.
        definition: As it is then; None: it is gone.
        charset: Default character set of its columns.
        column_charsets: Of each column, in their order; None where it has none.
    """

    kind: Literal["CREATE", "ALTER", "DROP"]
    table: TableId
    definition: TableSchema | None = None
    charset: str | None = None
    column_charsets: tuple[str | None, ...] = ()


class DefinitionChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement that defines tables or a database.

    Attributes:
        database: Which they are in, or which it is.
        tables: Their names, with commas between them; empty for an index and for a database that is altered; None for a
            database that comes or goes.
        ddl: The statement; of one that drops several tables, as if it dropped this one.
        changes: What became of the tables, as far as that is known.
    """

    database: str
    tables: str | None
    ddl: str
    changes: tuple[TableChange, ...] = ()


Notice = Literal["definition", "message", "heartbeat", "begin", "end"]
"""What an event is about that is about no row: a statement that defines tables, a logical message that is no JSON, that
the source is read, or where a transaction begins and ends.
"""
Asked = Notice | Literal["query", "truncate"]
"""What an envelope asks a source for beside rows: notices, the statements that changed the rows, or that truncates are
counted in their transactions.
"""


class Origin(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the log says of an event beside its native form. Never on the wire; other envelopes ask for it.

    Attributes:
        ts_us: The commit's time in microseconds, as far as the log has it.
        thread: MySQL: the connection that began the transaction.
        query: The statement that changed the row, where the log has it and somebody asks for it.
        pos_begin: MySQL: where the row event begins; in a transaction of MariaDB whose events do not say their places,
            where that begins.
        lsn: PostgreSQL: of the row's own message.
        last_commit_lsn: PostgreSQL: where the transaction before this one ended, of those that were sent.
        snapshot: Of a copied row.
        message: What a logical message holds.
        definition: What a statement defines.
        notice: What the event is about, if it is about no row; native documents have no such events.
        total_order: The event's number in its transaction, from 1; None where nobody counts.
        table_order: The same among the events of its table.
        table_counts: Of a notice of an end: how many events the transaction has, by table.
    """

    ts_us: int | None = None
    thread: int | None = None
    query: str | None = None
    pos_begin: int | None = None
    lsn: int | None = None
    last_commit_lsn: int | None = None
    snapshot: SnapshotMark | None = None
    message: LoggedMessage | None = None
    definition: DefinitionChange | None = None
    notice: Notice | None = None
    total_order: int | None = None
    table_order: int | None = None
    table_counts: dict[str, int] | None = None


class ChangeEvent(msgspec.Struct, kw_only=True):
    """One row change. The wire form is made by the envelopes; ``schema``, ``routing`` and ``origin`` stay inside.

    ``schema`` is the definition the row was decoded with; None for logical messages. ``zero_dates`` are key columns
    whose value is null because a part of the date is zero, as the server prints them: a key tells rows apart.
    ``old_zero_dates`` are those of the row before it was changed.
    """

    before: RowImage | None
    after: RowImage | None
    source: SourceInfo
    op: Op
    ts_ms: int
    transaction: Transaction | None = None
    event_id: str | None = None
    tenant_id: str | None = None
    schema_version: str | None = None
    schema_sequence: int | None = None
    ddl: dict[str, Any] | None = None
    trace_id: str | None = None
    tags: list[str] | None = None
    synthetic: str | None = None
    tx_end: bool = False
    schema: TableSchema | None = None
    routing: Routing | None = None
    zero_dates: dict[str, str] | None = None
    old_zero_dates: dict[str, str] | None = None
    origin: Origin | None = None

    def key(self) -> RowImage | None:
        """The primary key columns of the row, in key order; None without a key or an image.

        What the newer image does not hold, as with ``binlog_row_image=MINIMAL``, is as it was before.
        """
        image = self.after if self.after is not None else self.before
        if self.schema is None or image is None or not self.schema.primary_key:
            return None
        older = self.before or image
        try:
            key = {name: image[name] if name in image else older[name] for name in self.schema.primary_key}
        except KeyError:
            return None
        if self.zero_dates:
            key |= {name: text for name, text in self.zero_dates.items() if key.get(name, text) is None}
        return key


def mark_events(
    events: Sequence[ChangeEvent], every: SnapshotMark | None, first: SnapshotMark | None, last: SnapshotMark | None
) -> None:
    """Say what copied rows are among those of their copy: all of them, the first, the last."""
    marks = [every] * len(events)
    marks[0] = first or every
    marks[-1] = last or marks[-1]
    for event, mark in zip(events, marks, strict=True):
        event.origin = msgspec.structs.replace(event.origin or Origin(), snapshot=mark)


def number_events(events: Sequence[ChangeEvent], total: int, table: int) -> None:
    """Give events of one table their numbers in the transaction and among those of the table: the first has these."""
    for row, event in enumerate(events):
        origin = event.origin or Origin()
        event.origin = msgspec.structs.replace(origin, total_order=total + row, table_order=table + row)


class EventIds:
    """Deterministic event ids of one transaction: the same log position always gives the same id.

    Shape: a version 8 UUID. Bytes 0-9 are a hash of connector, origin server and transaction (the
    six version and variant bits apart), bytes 10-15 say which change in the transaction it is.

    Copied rows, which stand nowhere in the log, go by their keys instead, see :meth:`row_id`.

    Args:
        prefix: The first 24 characters, see :meth:`of`.
    """

    __slots__ = ("prefix",)

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @classmethod
    def of(cls, connector: str, origin: str, transaction: str) -> EventIds:
        """The ids of a transaction.

        Args:
            connector: ``mysql`` or ``postgresql``.
            origin: ``server_uuid`` / ``system_identifier``, or the GTID's own source.
            transaction: The GTID; else ``file:pos`` of the transaction's start; else the commit LSN.
        """
        digest = bytearray(hashlib.blake2b(f"{connector}|{origin}|{transaction}".encode(), digest_size=10).digest())
        digest[6] = 0x80 | digest[6] & 0x0F
        digest[8] = 0x80 | digest[8] & 0x3F
        h = digest.hex()
        return cls(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-")

    def at(self, ordinal: int, row: int = 0) -> str:
        """The id of row ``row`` (below 2^24) of the ``ordinal``-th change message. PostgreSQL has a message for each
        row: behind 2^24 of them the number of the row, which is 0, takes the rest.
        """
        return f"{self.prefix}{(ordinal & 0xFFFFFF) << 24 | ordinal >> 24 | row:012x}"

    def row_id(self, key: bytes) -> bytes:
        """What tells a row from all others that are copied under these ids: a hash as the bytes of a UUID.

        Args:
            key: The row key (:func:`deltaforge.core.routing.key_text`) in UTF-8.
        """
        digest = bytearray(hashlib.blake2b(self.prefix.encode() + key, digest_size=16).digest())
        digest[6] = 0x80 | digest[6] & 0x0F
        digest[8] = 0x80 | digest[8] & 0x3F
        return bytes(digest)

    def for_key(self, key: bytes) -> str:
        """The event id of a copied row: :meth:`row_id` as text."""
        h = self.row_id(key).hex()
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
