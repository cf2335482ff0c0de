"""Makes change events of pgoutput messages."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from deltaforge import __version__
from deltaforge.core.errors import DeltaForgeError, ProtocolError, SchemaError, unforeseen
from deltaforge.core.event import (
    UNCHANGED_TOAST,
    ChangeEvent,
    LoggedMessage,
    Notice,
    Op,
    Origin,
    RowImage,
    SourceInfo,
    Transaction,
)
from deltaforge.core.row_ids import event_id
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import RowPlan
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.postgres.messages import (
    UNCHANGED,
    Delete,
    Insert,
    Relation,
    Tuple,
    Update,
    decode_message,
)
from deltaforge.protocol.postgres.values import TypeInfo, kernel_type, reachable_types, resolve_decoder
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.fragments import event_fragments
from deltaforge.sources.python_rows import CountPythonRows, uncounted

VERSION = f"deltaforge-{__version__}"


class PackedTable(msgspec.Struct, tag_field="format", tag="postgres 1"):
    """What a captured table is made of. ``types``: everything that its columns are made of; ``database``: its name;
    ``keeps_marker``: as :class:`EventMapper` has it.
    """

    relation: Relation
    version: SchemaVersion
    types: list[TypeInfo]
    database: str
    keeps_marker: bool = False


class CapturedTable:
    """A captured relation, registered, with what decodes its rows.

    Attributes:
        registered: The version as the registry has it; ``version`` is its fingerprint, ``sequence`` that of its
            registration.
        types: What its columns are made of, by oid.
        plan: The kernel's row plan, None without a kernel.
        digest: Of what the catalog says of it, if it was made for a copy.
    """

    digest = ""

    def __init__(
        self, relation: Relation, version: SchemaVersion, types: dict[int, TypeInfo], mapper: EventMapper
    ) -> None:
        self.relation = relation
        self.registered = version
        self.types = reachable_types([column.type_oid for column in relation.columns], types)
        self.schema = schema = version.schema
        self.name = schema.table.qualified
        self.version = version.hash
        self.sequence = version.sequence
        self.mapper = mapper
        self.decoders: Sequence[tuple[str, Callable[[str], Any]]] = [
            (column.name, resolve_decoder(column.type_oid, types)) for column in relation.columns
        ]
        self.plan: RowPlan | None = None
        if compiled is not None:
            texts = event_fragments(compiled, mapper.event_of(self, "u"))
            self.plan = compiled.RowPlan(self, [name for name, _ in self.decoders], schema.primary_key, texts, texts)
            column_types = [kernel_type(column.type_oid, types) for column in relation.columns]
            self.plan.set_postgres(column_types, mapper.keeps_marker)

    @property
    def source_name(self) -> str:
        """What its events call their source."""
        return self.mapper.source_name

    @functools.cached_property
    def packed(self) -> bytes:
        """As JSON."""
        types, mapper = list(self.types.values()), self.mapper
        packed = PackedTable(self.relation, self.registered, types, mapper.database, mapper.keeps_marker)
        return msgspec.json.encode(packed)

    def filled(self, new: Tuple, old: Tuple) -> Tuple:
        """The new row with the TOAST values that the update did not touch, as far as the old row holds them."""
        if UNCHANGED not in new or len(old) != len(new) or len(new) != len(self.decoders):
            return new
        key = self.schema.primary_key if self.mapper.keeps_marker else None
        return [
            last if value is UNCHANGED and last is not None and (key is None or name in key) else value
            for (name, _), value, last in zip(self.decoders, new, old, strict=True)
        ]

    def image(self, values: Tuple) -> RowImage:
        """The values of a tuple by column name.

        Raises:
            SchemaError: Their number is not that of the columns.
            ProtocolError: A value is not in the form its type prints; names table and column.
        """
        if len(values) != len(self.decoders):
            raise SchemaError(f"row of {self.name} has {len(values)} values, expected {len(self.decoders)}")
        image: RowImage = {}
        for (name, decode), value in zip(self.decoders, values, strict=True):
            if value is None:
                image[name] = None
            elif value is UNCHANGED:
                image[name] = UNCHANGED_TOAST
            else:
                try:
                    image[name] = decode(value.decode())
                except UnicodeDecodeError:  # of a database whose encoding is SQL_ASCII
                    image[name] = {"_base64": base64.b64encode(value).decode("ascii")}
                except DeltaForgeError as exc:
                    raise ProtocolError(f"column {name} of {self.name} cannot be decoded: {exc}") from exc
                except Exception as exc:  # whatever a decoder has not foreseen: where it is counts more than what it is
                    raise ProtocolError(f"column {name} of {self.name} cannot be decoded: {unforeseen(exc)}") from exc
        return image


class RowPlace(msgspec.Struct):
    """Where in the log a message stands; groups of the kernel have the same attributes.

    ``ordinal`` counts the messages of the transaction, ``lsn`` is that of its commit, ``message_lsn`` the
    message's own, 0 where it is not known.
    """

    transaction: OpenTransaction
    ordinal: int
    ts_ms: int
    xid: int
    lsn: str
    message_lsn: int = 0


class LoggedRows(Protocol):
    """Row messages of one table and kind with their place: a group of the kernel."""

    table: CapturedTable
    messages: list[bytes]
    message_lsns: list[int]
    op: Op
    transaction: OpenTransaction
    ordinal: int
    ts_ms: int
    xid: int
    lsn: str


class EventMapper:
    """What is equal in all events of a pipeline.

    Args:
        name: The ``source.name`` of events.
        tenant: ``metadata.tenant``.
        database: Name of the database.
        keeps_marker: Whether a TOAST value that an update did not touch stays the marker where ``before`` holds it.
            Key columns are filled in any case.
        count_python_rows: Is told of rows that the kernel leaves to the Python decoders.
    """

    def __init__(
        self,
        name: str,
        tenant: str,
        database: str,
        *,
        keeps_marker: bool = False,
        count_python_rows: CountPythonRows = uncounted,
    ) -> None:
        self.source_name = name
        self._tenant = tenant
        self.database = database
        self.keeps_marker = keeps_marker
        self.count_python_rows = count_python_rows

    def events(self, group: LoggedRows) -> list[ChangeEvent]:
        """The events of a group of the kernel.

        Raises:
            ProtocolError: As :meth:`CapturedTable.image`.
        """
        if group.op == "r":
            return [self._copied(group, data, row) for row, data in enumerate(group.messages)]
        place = RowPlace(group.transaction, group.ordinal, group.ts_ms, group.xid, group.lsn)
        events = []
        for data, place.message_lsn in zip(group.messages, group.message_lsns, strict=True):
            events.append(self.row(group.table, decode_message(data), place))
            place.ordinal += 1
        return events

    def head(self, group: LoggedRows) -> ChangeEvent:
        """The first event of a group, without its images."""
        event = self.event_of(group.table, group.op)
        self._put(event, group, 0)
        return event

    def row(self, table: CapturedTable, message: object, place: RowPlace) -> ChangeEvent:
        """The event of a row message.

        Raises:
            ProtocolError: As :meth:`CapturedTable.image`, or it is no row message.
        """
        before: RowImage | None = None
        after: RowImage | None = None
        op: Op = "u"
        if isinstance(message, Insert):
            after, op = table.image(message.new), "c"
        elif isinstance(message, Update):
            new = message.new
            if message.old is not None:
                before, new = table.image(message.old), table.filled(new, message.old)
            after = table.image(new)
        elif isinstance(message, Delete):
            before, op = table.image(message.old), "d"
        else:
            raise ProtocolError("a message that is no row among rows")
        event = self.event_of(table, op)
        event.before, event.after = before, after
        self._put(event, place, 0)
        return event

    def _copied(self, group: LoggedRows, data: bytes, row: int) -> ChangeEvent:
        """The event of a copied row."""
        message = decode_message(data)
        if not isinstance(message, Insert):
            raise ProtocolError("a message that is no row among copied rows")
        event = self.head(group)
        event.after = group.table.image(message.new)
        event.event_id = event_id(event, group.transaction.ids, group.ordinal, row)
        return event

    def event_of(self, table: CapturedTable, op: Op) -> ChangeEvent:
        """An event of a captured table that stands nowhere yet."""
        event = self._event(table.schema.table.schema or "", table.schema.table.name, op)
        if op == "r":
            event.source.snapshot = "true"
        event.schema, event.schema_version, event.schema_sequence = table.schema, table.version, table.sequence
        return event

    def truncate(self, table: CapturedTable, place: RowPlace, number: int) -> ChangeEvent:
        """The event of the ``number``-th table of a TRUNCATE."""
        event = self.event_of(table, "t")
        self._put(event, place, number)
        return event

    def message(
        self, schema: str, content: Any, message: LoggedMessage, place: RowPlace, notice: Notice | None = None
    ) -> ChangeEvent:
        """The event of a logical message, whose content is JSON or else makes it a notice."""
        event = self._event(schema, message.prefix, "c")
        event.after = content
        origin = self._put(event, place, 0)
        origin.message, origin.notice = message, notice
        return event

    def source_info(self) -> SourceInfo:
        """What is equal in all events."""
        return self._event("", "", "c").source

    def _event(self, schema: str, table: str, op: Op) -> ChangeEvent:
        source = SourceInfo(
            version=VERSION,
            connector="postgresql",
            name=self.source_name,
            ts_ms=0,
            db=self.database,
            schema=schema,
            table=table,
        )
        return ChangeEvent(before=None, after=None, source=source, op=op, ts_ms=0, tenant_id=self._tenant)

    def _put(self, event: ChangeEvent, place: RowPlace | LoggedRows, number: int) -> Origin:
        """Put an event where a place or group stands."""
        event.ts_ms = event.source.ts_ms = place.ts_ms
        event.source.lsn, event.source.txId = place.lsn, place.xid or UNSET
        event.transaction = Transaction(str(place.xid)) if place.xid else None
        transaction = place.transaction
        event.event_id = transaction.ids.at(place.ordinal, number)
        lsn = place.message_lsn if isinstance(place, RowPlace) else place.message_lsns[0]
        event.origin = Origin(
            ts_us=place.ts_ms * 1000 if transaction.commit_us is None else transaction.commit_us,
            lsn=lsn or None,
            last_commit_lsn=transaction.last_commit_lsn or None,
        )
        return event.origin
