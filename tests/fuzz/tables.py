"""Tables and values that hypothesis generates, and changes of their rows.

A database's columns are in ``mysql_columns.py`` and ``postgres_columns.py``. Hypothesis draws each table and for each of
its columns some hundred values; rows are put together from these with a seeded random number generator, because drawing
each of a million rows takes hours. The same seed gives the same tables, values and rows.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

VALUES = 100
"""Values of a column in one table, at most: booleans have two."""
TOGETHER = 50
"""Tables drawn at a time: what hypothesis draws depends on how many are asked for."""


@dataclass(frozen=True)
class Kind:
    """What a column holds.

    ``literals`` gives SQL. ``printed`` is the expression that selects the value, ``{}`` the column, and ``read`` makes
    of the text the value that an event must have.
    """

    declared: str
    literals: SearchStrategy
    printed: str = "{}"
    read: Callable[[str], Any] = str
    is_key: bool = False
    """Whether it may be in a key of any table."""
    changes: SearchStrategy | None = None
    """SQL that makes a new value of the present one, ``{}`` the column."""
    is_generated: bool = False
    """Whether the server makes the value, by what is declared."""


@dataclass(frozen=True)
class Column:
    """Its name as SQL has it and as events have it, and what ``literals`` of its kind were drawn."""

    quoted: str
    name: str
    kind: Kind
    is_nullable: bool
    literals: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        if self.kind.is_generated:
            return f"{self.quoted} {self.kind.declared}"
        return f"{self.quoted} {self.kind.declared} {'null' if self.is_nullable else 'not null'}"


@dataclass(frozen=True)
class Table:
    """A table: column ``id``, which no two rows share, and others.

    ``statements`` make it, ``session`` are those of the connection that changes it. ``key`` holds the columns that
    alone are in the old image of a PostgreSQL table without full replica identity; None when old images are whole.
    """

    columns: tuple[Column, ...]
    statements: tuple[str, ...]
    session: tuple[str, ...]
    key: frozenset[str] | None = None
    is_partial: bool = False
    """Whether images may lack columns."""
    quoted: str = "t"
    name: str = "t"

    @property
    def assigned(self) -> list[Column]:
        """The columns that statements name."""
        return [column for column in self.columns if not column.kind.is_generated]


@dataclass(frozen=True)
class Change:
    """A row's change with its images as the server prints them."""

    op: str
    before: dict | None
    after: dict | None
    assigned: frozenset[str]
    """Columns that the statement names."""

    @property
    def identity(self) -> tuple[str, int]:
        return self.op, (self.after or self.before)["id"]


def drawn(strategy: SearchStrategy, of_seed: str, count: int) -> list:
    """``count`` values, the same for the same seed; fewer of a strategy that has fewer."""
    values = []

    @seed(of_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: object) -> None:
        values.append(value)

    collect()
    return values


def tables(strategy: SearchStrategy, of_seed: str, first: int = 0) -> Iterator[Table]:
    """Tables with the literals of their columns, without end, beginning with number ``first``."""
    for group in itertools.count(first // TOGETHER):
        together = drawn(strategy, f"{of_seed}-{group}", TOGETHER)
        for number, table in enumerate(together[first % TOGETHER :], first % TOGETHER):
            of_table = f"{of_seed}-{group}-{number}"
            yield replace(
                table,
                columns=tuple(
                    with_literals(column, f"{of_table}-{place}") for place, column in enumerate(table.columns)
                ),
            )
        first = 0


def with_literals(column: Column, of_seed: str) -> Column:
    """The column with what was drawn of its kind."""
    kind = column.kind
    changes = () if kind.changes is None else tuple(drawn(kind.changes, f"{of_seed}-changes", VALUES))
    return replace(column, literals=tuple(drawn(kind.literals, of_seed, VALUES)), changes=changes)


def change_rows(cursor, table: Table, rnd: random.Random, count: int) -> list[Change]:
    """Insert, update and delete, ``count`` changes or some more; every change of a row has another identity."""
    changes, first = [], 1
    everything = frozenset(("id", *(column.name for column in table.columns)))
    for statement in table.session:
        cursor.execute(statement)
    while len(changes) < count:
        last = first + rnd.randint(0, 199)
        _insert(cursor, table, rnd, range(first, last + 1))
        inserted = _printed(cursor, table, first, last)
        changes += [Change("c", None, row, everything) for row in inserted.values()]
        if rnd.random() < 0.5:
            half = (first + last) // 2
            changed = [column for column in table.assigned if rnd.random() < 0.5]
            assigned = "".join(f", {column.quoted} = {_change(column, rnd)}" for column in changed)
            cursor.execute(f"update {table.quoted} set id = -id{assigned} where id between {first} and {half}")
            updated = _printed(cursor, table, -half, -first)
            names = frozenset(("id", *(column.name for column in changed)))
            changes += [Change("u", inserted[-number], row, names) for number, row in updated.items()]
            cursor.execute(f"delete from {table.quoted} where id between {-half} and {-first}")
            changes += [Change("d", row, None, frozenset()) for row in updated.values()]
        first = last + 1
    return changes


def _insert(cursor, table: Table, rnd: random.Random, numbers: range) -> None:
    names = ", ".join(("id", *(column.quoted for column in table.assigned)))
    rows = ", ".join(
        f"({', '.join((str(number), *(_literal(column, rnd) for column in table.assigned)))})" for number in numbers
    )
    cursor.execute(f"insert into {table.quoted} ({names}) values {rows}")


def _literal(column: Column, rnd: random.Random) -> str:
    return "null" if column.is_nullable and rnd.random() < 0.1 else rnd.choice(column.literals)


def _change(column: Column, rnd: random.Random) -> str:
    if column.changes and rnd.random() < 0.7:
        return rnd.choice(column.changes).replace("{}", column.quoted)
    return _literal(column, rnd)


def _printed(cursor, table: Table, first: int, last: int) -> dict[int, dict]:
    """Rows by ``id``, as the server prints them now."""
    expressions = ", ".join(("id", *(column.kind.printed.format(column.quoted) for column in table.columns)))
    cursor.execute(f"select {expressions} from {table.quoted} where id between {first} and {last}")
    return {row[0]: {"id": row[0]} | _values(table.columns, row[1:]) for row in cursor.fetchall()}


def _values(columns: tuple[Column, ...], texts: tuple) -> dict:
    return {
        column.name: None if text is None else column.kind.read(text if isinstance(text, str) else str(text))
        for column, text in zip(columns, texts, strict=True)
    }
