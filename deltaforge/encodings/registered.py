"""Records whose schemas are in a registry: the plan of each table and destination, with the ids of its schemas.

What fails (contract 03 section 5): a registry that gives no id fails the batch, which waits, as long as the id of that
very schema is not known. A schema that it refuses leaves the one before: rows that say all they have in it are written
with it, others are faults of their own (``schema_mismatch``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from deltaforge.core.encoded import EncodedMessage, MessageRules
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent, RowImage
from deltaforge.core.table import TableSchema
from deltaforge.encodings.record_compilers import RecordCompiler
from deltaforge.encodings.schema_ids import KnownId, SchemaIds
from deltaforge.encodings.schema_registry import RejectedSchemaError
from deltaforge.encodings.subjects import SubjectStrategy, subject_of
from deltaforge.kernel import compiled
from deltaforge.records.compiled import Compiled, ExtraMessage, schema_prefix, with_rules, with_schema_ids
from deltaforge.records.plan import PlannedColumn, RecordPlan
from deltaforge.records.schema import Schema
from deltaforge.records.taking import UnplannedError, messages_of
from deltaforge.records.whole import written
from deltaforge.records.widening import widened

if TYPE_CHECKING:
    from deltaforge.kernel._compiled import RecordProgram, RowPlan
    from deltaforge.kernel.captured import CapturedTable

MAX_TABLES = 10_000
"""Plans that are kept, of tables at destinations and versions of them; more begin anew."""


@dataclass
class RegisteredTable:
    """A version of a table at a destination.

    Attributes:
        compiled: Without ids.
        texts: Of the schemas of value and key.
        table: The definition.
        value, key: Ids of the schemas; ``key`` None: messages have no key.
        plan: With ids.
        programs: Of the kernel, by what it has of the table's columns.
    """

    compiled: Compiled
    texts: tuple[str, str | None]
    table: TableSchema
    value: KnownId
    key: KnownId | None
    plan: RecordPlan
    programs: dict[int, tuple[CapturedTable, RecordProgram]] = field(default_factory=dict)

    def program(self, captured: CapturedTable) -> RecordProgram | None:
        """The plan as the kernel takes it; None: rows are left to Python."""
        known = self.programs.get(id(captured.plan))
        if known is None:
            if compiled is None:
                return None
            program = compiled.RecordProgram(self.plan, cast("RowPlan", captured.plan))
            known = self.programs[id(captured.plan)] = captured, program
        return known[1]

    def is_sure(self, now: float) -> bool:
        """Whether nobody has to ask for the ids."""
        return now < self.value.until and (self.key is None or now < self.key.until)


class TableAt(NamedTuple):
    """A table and where its events go."""

    destination: str
    connector: str
    name: str
    db: str
    schema: str
    table: str

    @classmethod
    def of(cls, event: ChangeEvent, destination: str) -> TableAt:
        """That of an event."""
        source = event.source
        return cls(destination, source.connector, source.name, source.db, source.schema or "", source.table)


class RegisteredRecords:
    """Makes messages of events, with ids from a registry. For one thread.

    Args:
        compiler: Of the records.
        ids: Of the schemas.
        strategy: How subjects are named.
        rules: Of the sink; they win over those of the records.
        now: Seconds that only grow.
    """

    def __init__(
        self,
        compiler: RecordCompiler,
        ids: SchemaIds,
        strategy: SubjectStrategy,
        rules: MessageRules,
        now: Callable[[], float],
    ) -> None:
        self._compiler, self._ids, self._strategy, self._rules, self._now = compiler, ids, strategy, rules, now
        self._tables: dict[tuple[TableAt, str, str | None, TableSchema], RegisteredTable] = {}
        self._latest: dict[TableAt, RegisteredTable] = {}
        self.inferred_count = 0  # events whose definition is made of their values

    def doubt(self) -> None:
        """See :meth:`SchemaIds.doubt`."""
        self._ids.doubt()

    def table(self, event: ChangeEvent, destination: str) -> RegisteredTable:
        """The version of an event's table, with ids.

        Raises:
            RejectedSchemaError: The registry refuses a schema of it.
            SinkError: The registry gives no id.
            RecordError: The event has no table; ``index`` is 0.
        """
        at, schema = TableAt.of(event, destination), self._table_of(event)
        key = at, event.source.version, event.schema_version, schema
        known = self._tables.get(key)
        if known is not None and known.is_sure(self._now()):
            self._latest[at] = known
            return known
        made = self._compiled(event, schema) if known is None else known.compiled
        texts = self._texts(made) if known is None else known.texts
        value_id = self._id(made.value, texts[0], at, "value")
        key_id = None if made.key is None or texts[1] is None else self._id(made.key, texts[1], at, "key")
        if known is None or known.value is not value_id or known.key is not key_id:
            plan = with_schema_ids(made.plan, value_id.id, None if key_id is None else key_id.id)
            known = RegisteredTable(made, texts, schema, value_id, key_id, plan)
            if len(self._tables) >= MAX_TABLES:
                self._tables.clear()
            self._tables[key] = known
        self._latest[at] = known
        return known

    def messages(self, event: ChangeEvent, destination: str, now_ns: int) -> Sequence[EncodedMessage]:
        """The messages of an event that was received at ``now_ns``.

        Raises:
            SinkError: The registry gives no id.
            RecordError: The event has no bytes: ``schema_mismatch``; ``index`` is 0.
        """
        extra = self._compiler.extra_message(event, now_ns)
        try:
            if extra is not None:
                return [self._extra(extra, destination)]
            table = self.table(event, destination)
            self.inferred_count += event.schema is None
        except RejectedSchemaError as error:
            if extra is not None:
                raise _mismatch(event, error.message, _HINT) from error
            table, event = self._as_before(event, destination, error)
        try:
            try:
                return messages_of(table.plan, event, now_ns)
            except ValueError as why:
                wider = widened(event)
                if wider is not None:
                    return self.messages(wider, destination, now_ns)
                if not isinstance(why, UnplannedError):
                    raise
                one = self._compiler.written(table.compiled, event, table.table)
                plan = with_schema_ids(one, table.value.id, None if table.key is None else table.key.id)
                return messages_of(plan, event, now_ns)
        except ValueError as exc:
            raise _mismatch(event, f"{exc}", "see docs/avro.md") from exc

    def _compiled(self, event: ChangeEvent, table: TableSchema) -> Compiled:
        found = self._compiler.compile(event, table)
        return found._replace(plan=with_rules(found.plan, self._rules))

    def _extra(self, extra: ExtraMessage, destination: str) -> EncodedMessage:
        """The message of an event that is no row."""
        parts = []
        for part, typed in (("key", extra.key), ("value", extra.value)):
            subject = subject_of(self._strategy, destination, typed.schema.name or "", part)
            known = self._ids.of(subject, self._compiler.schema_text(typed.schema))
            parts.append(schema_prefix(known.id) + written(self._compiler.writer, *typed))
        return EncodedMessage(parts[0], parts[1], dict(extra.headers))

    def _texts(self, made: Compiled) -> tuple[str, str | None]:
        text = self._compiler.schema_text
        return text(made.value), None if made.key is None else text(made.key)

    def _id(self, schema: Schema, text: str, at: TableAt, part: str) -> KnownId:
        return self._ids.of(subject_of(self._strategy, at.destination, schema.name or "", part), text)

    def _table_of(self, event: ChangeEvent) -> TableSchema:
        found = event.schema or self._compiler.inferred(event)
        if found is None:
            raise _mismatch(event, "it has no table definition", "such events need encoding: json")
        return found

    def _as_before(
        self, event: ChangeEvent, destination: str, error: RejectedSchemaError
    ) -> tuple[RegisteredTable, ChangeEvent]:
        """The version of the table that the registry took last, and the event as a row of it."""
        latest = self._latest.get(TableAt.of(event, destination))
        schema = self._table_of(event)
        if latest is None:
            raise _mismatch(event, error.message, _HINT) from error
        new = self._compiled(event, schema).plan
        old = latest.compiled.plan
        if _signature(new.key) != _signature(old.key):
            raise _mismatch(event, f"{error.message}; the key of the version before is another one", _HINT) from error
        columns = {column.column: column for column in new.columns}
        try:
            before, after = (_narrowed(image, columns, old.columns) for image in (event.before, event.after))
        except ValueError as exc:
            raise _mismatch(event, f"{error.message}; with the version before, {exc}", _HINT) from error
        return latest, msgspec.structs.replace(event, before=before, after=after)


_HINT = "change the compatibility of the subject, register a schema that fits, or let the table's change be undone"


def _mismatch(event: ChangeEvent, why: str, hint: str) -> RecordError:
    return RecordError(
        f"no schema for an event of {event.source.qualified_table}: {why}",
        index=0,
        kind="schema_mismatch",
        hint=hint,
        event_id=event.event_id,
    )


def _signature(key: tuple[PlannedColumn, ...] | None) -> list[tuple[str, object]] | None:
    return None if key is None else [(column.column, column.conversion) for column in key]


def _narrowed(
    image: RowImage | None, columns: dict[str, PlannedColumn], earlier: tuple[PlannedColumn, ...]
) -> RowImage | None:
    """A row image as one of the earlier version of its table: nothing that it holds is left out or made up.

    Raises:
        ValueError: It cannot be.
    """
    if image is None:
        return None
    found: RowImage = {}
    for column in earlier:
        name, new = column.column, columns.get(column.column)
        if new is None:
            if not column.prefix:  # no union: there is no null
                raise ValueError(f"column {name} is gone, which cannot be null")
            found[name] = None
        elif new.conversion != column.conversion:
            raise ValueError(f"column {name} has another type")
        elif name in image:
            if image[name] is None and new.prefix and not column.prefix:
                raise ValueError(f"column {name} is null, which it cannot be")
            found[name] = image[name]
    known = {column.column for column in earlier}
    lost = [name for name, value in image.items() if name not in known and value is not None]
    if lost:
        raise ValueError(f"column {lost[0]} would be left out")
    return found
