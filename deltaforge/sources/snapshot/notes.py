"""What the log has delivered while chunks are read, for the rows of a chunk that are older."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import ChangeEvent, EventIds, SourceInfo
from deltaforge.core.resume import transaction_of
from deltaforge.core.row_ids import TouchedRows, row_keys
from deltaforge.core.snapshot import SnapshotJob
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot.base import Mark
from deltaforge.sources.snapshot.ledger import Ledger
from deltaforge.sources.snapshot.states import to_reread

NOTE_BYTES = 400
"""What the objects of a note take."""

MAX_BYTES = 64 << 20
"""Above it all chunks that are not delivered are read again, with new notes."""
GROWN_BYTES = 1 << 20
"""After so much, what all chunks have seen is forgotten."""


@dataclass(frozen=True, slots=True)
class Note:
    """What one piece of a transaction changed in a table.

    Attributes:
        source: Of its transaction.
        row_ids: Of the rows before and after, 16 bytes each.
        incomplete: Row keys of rows whose new version is not whole in the log, or may be taken back.
        is_emptied: The table was truncated.
        is_unknown: The log does not say which row it was.
        is_keyless: Rows of the table cannot be told apart, and one of them changed or went.
        is_provisional: The log may take the transaction back.
    """

    source: SourceInfo
    row_ids: bytes
    incomplete: tuple[str, ...] = ()
    is_emptied: bool = False
    is_unknown: bool = False
    is_keyless: bool = False
    is_provisional: bool = False

    @property
    def held_bytes(self) -> int:
        return NOTE_BYTES + len(self.row_ids) + sum(map(len, self.incomplete))

    def is_seen(self, mark: Mark) -> bool:
        """Whether a chunk with this mark has surely seen it."""
        return mark.sees(self.source) and not (self.is_provisional and mark.doubts_provisional)


@dataclass
class Unseen:
    """What a chunk has perhaps not seen of its table, all in one; see :class:`Note`."""

    row_ids: set[bytes] = field(default_factory=set)
    incomplete: dict[str, None] = field(default_factory=dict)
    is_emptied: bool = False
    is_unknown: bool = False
    is_keyless: bool = False
    is_provisional: bool = False


class Notes:
    """The changes of watched tables, in log order, as long as a chunk may be that has not seen them.

    Args:
        ids: Of each watched table: the ids of the transaction that its copied rows are shown as.
    """

    def __init__(self, ids: dict[TableName, EventIds]) -> None:
        self._ids = ids
        self._notes: dict[TableName, deque[Note]] = {}
        self._watched: dict[Hashable, TableName | None] = {}
        self.byte_count = 0
        self._left_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether they take more memory than they may."""
        return self.byte_count > MAX_BYTES

    @property
    def has_grown(self) -> bool:
        """Whether it is time to forget some."""
        return self.byte_count > self._left_bytes + GROWN_BYTES

    def watch(self, ids: dict[TableName, EventIds]) -> None:
        """The watched tables are others now; those that were and still are keep their notes."""
        self._ids = ids
        self._watched = {}
        for table in [table for table in self._notes if table not in ids]:
            self.byte_count -= sum(note.held_bytes for note in self._notes.pop(table))

    def add(self, batch: Batch, provisional: Collection[str]) -> Iterator[tuple[TableName, Note]]:
        """Note a batch of the log; what was noted. ``provisional``: see :meth:`CopyableLog.provisional`."""
        for group in batch.groups:
            for table, part in self._parts(group):
                is_provisional = bool(provisional) and transaction_of(part) in provisional
                note = _note(part, self._ids[table], is_provisional=is_provisional)
                self._notes.setdefault(table, deque()).append(note)
                self.byte_count += note.held_bytes
                yield table, note

    def unseen(self, table: TableName, mark: Mark) -> Unseen:
        """What a chunk with this mark has perhaps not seen of a table."""
        found = Unseen()
        for note in self._notes.get(table, ()):
            if note.is_seen(mark):
                continue
            found.is_provisional |= note.is_provisional
            found.is_emptied |= note.is_emptied
            found.is_unknown |= note.is_unknown
            found.is_keyless |= note.is_keyless
            found.incomplete.update(dict.fromkeys(note.incomplete))
            found.row_ids |= TouchedRows(note.row_ids).split()
        return found

    def incomplete(self, table: TableName) -> list[str]:
        """Row keys of rows of a table whose newest version is perhaps not whole in the log."""
        return [key for note in self._notes.get(table, ()) for key in note.incomplete]

    def forget(self, seen: Sequence[Mark | None]) -> None:
        """Drop what all chunks have seen that are there or will come: none of them has seen less than one of these.
        None: nobody knows what one of them has seen.
        """
        self._left_bytes = self.byte_count
        marks = [mark for mark in seen if mark is not None]
        if len(marks) < len(seen):
            return
        for table, notes in self._notes.items():
            while notes and all(map(notes[0].is_seen, marks)):
                self.byte_count -= notes.popleft().held_bytes
            if self.has_grown:  # something old is not seen yet, and hides what is
                kept = deque(note for note in notes if not all(map(note.is_seen, marks)))
                self.byte_count -= sum(note.held_bytes for note in notes) - sum(note.held_bytes for note in kept)
                self._notes[table] = kept
        self._left_bytes = self.byte_count

    def clear(self) -> None:
        """Forget all of them."""
        self._notes, self.byte_count, self._left_bytes = {}, 0, 0

    def _parts(self, group: EventGroup) -> Iterator[tuple[TableName, EventGroup]]:
        """The group, or the events of it that are of watched tables."""
        if group.table is None:
            for event in group.events():
                if (name := _table(event)) in self._ids:
                    yield name, DecodedGroup([event])
            return
        if group.table not in self._watched:
            name = _table(group.head())
            self._watched[group.table] = name if name in self._ids else None
        known = self._watched[group.table]
        if known is not None:
            yield known, group


class WaitingJobs:
    """Jobs that have begun and do not run now: what they copied is behind the log, but rows of which the log does not
    hold all values have to be read again once they go on.

    Args:
        ledger: Has the jobs.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._jobs: tuple[SnapshotJob, ...] = ()
        self._running: str | None = None
        self._notes: list[tuple[str, Notes]] = []

    def note(self, batch: Batch, running: str | None, provisional: Collection[str]) -> None:
        """A batch of the log leaves for the sinks.

        Args:
            batch: The batch.
            running: The job that takes notes itself.
            provisional: See :meth:`CopyableLog.provisional`.
        """
        if self._jobs is not self._ledger.state.jobs or self._running != running:
            self._look(running)
        for job_id, notes in self._notes:
            for (schema, table), note in notes.add(batch, provisional):
                if note.incomplete:
                    self._ledger.change_table(job_id, (schema, table), partial(to_reread, keys=note.incomplete))
            notes.clear()

    def _look(self, running: str | None) -> None:
        self._jobs, self._running = self._ledger.state.jobs, running
        self._notes = []
        for job in self._jobs:
            begun = {(copy.schema, copy.name): EventIds("0" * 24) for copy in job.tables if copy.plan}
            if job.id != running and begun:
                self._notes.append((job.id, Notes(begun)))


def _table(event: ChangeEvent) -> TableName:
    return str(event.source.schema or event.source.db), event.source.table


def _note(group: EventGroup, ids: EventIds, *, is_provisional: bool) -> Note:
    source = group.head().source
    if group.op == "t":
        return Note(source, b"", is_emptied=True)
    touched = group.touched_rows(ids)
    is_unknown = touched.unknown_count > 0
    is_keyless = not touched.ids and not is_unknown and group.op != "c"
    incomplete = row_keys(group.events()) if is_provisional else touched.incomplete
    return Note(
        source, touched.ids, incomplete, is_unknown=is_unknown, is_keyless=is_keyless, is_provisional=is_provisional
    )
