"""A simulated database whose commits become visible later than they stand in its log, and the rules by which its chunks
are marked: the right ones, and wrong ones.
"""

import json
from dataclasses import dataclass
from typing import NamedTuple

from deltaforge.core.event import ChangeEvent, SourceInfo

TABLE = ("public", "t")
PAGES = 8
KEYS = 7


class Row(NamedTuple):
    """``version``: of the transaction that wrote it last; ``large``: of the one that wrote its large value last."""

    key: int
    version: int
    large: int
    page: int


class Change(NamedTuple):
    """A row of the log. ``is_whole``: whether the log holds the large value of ``after``."""

    op: str
    before: Row | None
    after: Row | None
    is_whole: bool = True


@dataclass
class Tx:
    number: int
    changes: list
    is_ddl: bool = False


class Touched(NamedTuple):
    ids: bytes
    incomplete: tuple
    unknown_count: int = 0


class Group:
    """Changes of one op of a transaction, or copied rows."""

    table = TABLE
    tx_end = False
    ts_ms = 1

    def __init__(self, number, op, changes):
        self.number, self.op, self.changes = number, op, changes

    @property
    def event_count(self):
        return len(self.changes)

    def head(self):
        source = SourceInfo(
            version="", connector="postgresql", name="p", ts_ms=1, db="d", schema=TABLE[0], table=TABLE[1],
            txId=self.number,
        )  # fmt: skip
        return ChangeEvent(before=None, after=None, source=source, op=self.op, ts_ms=1, event_id=f"{self.number:024d}")

    def mark(self, *_marks):
        """The model has no marks."""

    def touched_rows(self, _ids):
        rows = [row for change in self.changes for row in (change.before, change.after) if row is not None]
        incomplete = tuple(key_of(change.after) for change in self.changes if not change.is_whole)
        return Touched(b"".join(id_of(row) for row in rows), incomplete)

    def without(self, row_ids):
        rest = [change for change in self.changes if id_of(change.after) not in row_ids]
        return Group(self.number, self.op, rest) if rest else None


def id_of(row):
    return row.key.to_bytes(16, "big")


def key_of(row):
    return json.dumps({"k": row.key})


class Database:
    """Rows are locked until the transaction that wrote them can be seen by others."""

    def __init__(self, rng, *, moves, in_order):
        self.rng, self.moves, self.in_order = rng, moves, in_order
        self.rows = {key: Row(key, 0, 0, self.page(key)) for key in range(1, KEYS) if rng.random() < 0.8}
        self.seen_rows = dict(self.rows)
        self.log, self.unseen, self.locked = [], [], set()
        self.definition = 0

    def page(self, key):
        return self.rng.randrange(PAGES) if self.moves else key

    def commit(self):
        """The record of a transaction is in the log from now on."""
        rng, number = self.rng, len(self.log) + 1
        if any(change.op == "t" for tx in self.unseen for change in tx.changes):
            return  # the whole table is locked
        if not self.unseen and rng.random() < 0.04:
            self.finish(Tx(number, [Change("t", None, None)]), self.rows)
            return
        if not self.unseen and rng.random() < 0.04:
            self.definition += 1
            self.log.append(Tx(number, [], is_ddl=True))
            return
        changes, keys = [], [key for key in range(1, KEYS + 3) if key not in self.locked]
        rng.shuffle(keys)
        for key in keys[: rng.choice((1, 1, 2, 3))]:
            if key not in self.locked:
                change = self.change(number, key)
                rows = [row for row in (change.before, change.after) if row is not None]
                self.locked |= {row.key for row in rows}
                changes.append(change)
        if changes:
            self.finish(Tx(number, changes), None)

    def change(self, number, key):
        rng, before = self.rng, self.rows.pop(key, None)
        if before is None:
            after = Row(key, number, number, self.page(key))
            self.rows[key] = after
            return Change("c", None, after)
        if rng.random() < 0.2:
            return Change("d", before, None)
        free = [k for k in range(1, KEYS + 3) if k not in self.rows and k not in self.locked and k != key]
        new_key = rng.choice(free) if free and rng.random() < 0.2 else key
        is_whole = rng.random() < 0.6
        page = self.page(new_key) if rng.random() < 0.5 or new_key != key else before.page
        after = Row(new_key, number, number if is_whole else before.large, page)
        self.rows[new_key] = after
        return Change("u", before, after, is_whole)

    def finish(self, tx, emptied):
        if emptied is not None:
            emptied.clear()
        self.log.append(tx)
        self.unseen.append(tx)

    def show(self):
        """A transaction that is in the log can be seen from now on."""
        if self.unseen:
            tx = self.unseen.pop(0 if self.in_order else self.rng.randrange(len(self.unseen)))
            for change in tx.changes:
                if change.op == "t":
                    self.seen_rows.clear()
                if change.before is not None:
                    self.seen_rows.pop(change.before.key, None)
                    self.locked.discard(change.before.key)
            for change in tx.changes:
                if change.after is not None:
                    self.seen_rows[change.after.key] = change.after
                    self.locked.discard(change.after.key)

    def visible(self):
        return frozenset(tx.number for tx in self.log) - {tx.number for tx in self.unseen}


class Sure:
    """The transactions that a chunk has surely seen."""

    def __init__(self, numbers):
        self.numbers = numbers

    def sees(self, source):
        return source.txId in self.numbers

    def has_all(self, since):
        return since <= self.numbers


class Rules:
    """How a server marks its chunks. ``is_exact``: from the transaction of the chunk itself; else from before it."""

    def __init__(self, *, is_exact):
        self.is_exact = is_exact

    def mark(self, database):
        return Sure(database.visible())

    def high(self, database):
        return len(database.log)

    def unsettled(self, mark, since):
        return None if mark.has_all(since) else "a commit to be seen"


class ByPosition(Rules):
    """Wrong: what lies before the read in the log was seen."""

    def mark(self, database):
        return Sure(frozenset(range(1, len(database.log) + 1)))


class AtOnce(Rules):
    """Wrong: the log need not have passed what the chunk has seen."""

    def high(self, _database):
        return 0


class NothingSettled(Rules):
    """Wrong: what was delivered before notes were taken need not be seen."""

    def unsettled(self, _mark, _since):
        return None


class NothingDropped(Rules):
    """Wrong: no row is left out."""

    class All:
        def sees(self, _source):
            return True

    def mark(self, _database):
        return self.All()

    def unsettled(self, _mark, _since):
        return None
