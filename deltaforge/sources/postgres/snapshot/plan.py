"""How a table is copied: by ranges of pages, of each of its partitions in turn.

A cursor is the place of the first row that is not copied yet: ``page``, in the middle of a page ``page.line``; of the
n-th partition, counted from 0, ``n/page``. Any table has pages, whatever its key; where rows of a range go by an update
does not matter, as the update is in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from deltaforge.core.errors import SourceError
from deltaforge.core.snapshot import Cursor, Stripe

MIN_STRIPE_PAGES = 512
"""A stripe is not worth a connection below this."""


class Leaf(msgspec.Struct, frozen=True):
    """A table that holds rows: the table itself, or one of its partitions.

    Attributes:
        filenode: Of its file; a rewrite gives it another one, and its rows other places.
        pages: When the copy was planned. More may come.
        rows_per_page, bytes_per_page: As far as the statistics know; the latter with what is stored out of line.
    """

    oid: int
    schema: str
    name: str
    filenode: int
    pages: int
    rows_per_page: float
    bytes_per_page: float

    @property
    def sql(self) -> str:
        """Its name in a statement."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


class CopyPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a chunk has to know of a table.

    Attributes:
        system_id: Of the server: on another one rows are elsewhere.
        oid: Of the table as it is published.
        leaves: What holds its rows.
        row_filter: Of the publication, as an expression.
        definition: A digest of what the log shows of the table, and of how it is published.
    """

    system_id: str
    oid: int
    leaves: tuple[Leaf, ...]
    definition: str
    row_filter: str = ""

    @property
    def pages(self) -> int:
        """Of all leaves."""
        return sum(leaf.pages for leaf in self.leaves)

    @property
    def is_partitioned(self) -> bool:
        """Whether its rows are in other tables."""
        return tuple(leaf.oid for leaf in self.leaves) != (self.oid,)

    def stripes(self, count: int) -> tuple[Stripe, ...]:
        """About so many parts of equal size."""
        count = max(1, min(count, self.pages // MIN_STRIPE_PAGES))
        ends = [self._place(self.pages * n // count).cursor(self) for n in range(1, count)]
        begins = [None, *ends]
        return tuple(Stripe(at, end) for at, end in zip(begins, [*ends, None], strict=True))

    def middle(self, low: Place, end: Place | None) -> Cursor | None:
        """A cursor about in the middle between two places; None if that is not worth it."""
        first, last = self._number(low), self.pages if end is None else self._number(end)
        if last - first < 2 * MIN_STRIPE_PAGES:
            return None
        return self._place((first + last) // 2).cursor(self)

    def fraction(self, low: Place, end: Place | None, reached: Place) -> float:
        """How much of the pages between two places lies before a third one."""
        first, last = self._number(low), self.pages if end is None else self._number(end)
        return min(1.0, (self._number(reached) - first) / (last - first)) if last > first else 1.0

    def _number(self, place: Place) -> int:
        """How many pages lie before a place, as of the plan."""
        return sum(leaf.pages for leaf in self.leaves[: place.leaf]) + min(place.page, self.leaves[place.leaf].pages)

    def _place(self, number: int) -> Place:
        for n, leaf in enumerate(self.leaves):
            if number < leaf.pages:
                return Place(n, number)
            number -= leaf.pages
        return Place(len(self.leaves) - 1, self.leaves[-1].pages)


class Place(NamedTuple):
    """A place in a table: partition, page, line of the page. Compared as it is copied."""

    leaf: int = 0
    page: int = 0
    line: int = 0

    @property
    def ordinal(self) -> int:
        """What tells a chunk that begins here from others of its table: a number of 64 bits."""
        return (self.leaf & 0xFFFF) << 48 | self.page << 16 | self.line

    @classmethod
    def of(cls, cursor: Cursor | None) -> Place:
        """Where a cursor is; without one, the beginning.

        Raises:
            SourceError: It is no cursor.
        """
        if cursor is None:
            return cls()
        leaf, _, rest = cursor.rpartition("/")
        page, _, line = rest.partition(".")
        try:
            return cls(int(leaf or 0), int(page), int(line or 0))
        except ValueError:
            raise SourceError(f"the saved place {cursor!r} in a table cannot be read", kind="checkpoint") from None

    def cursor(self, plan: CopyPlan) -> Cursor:
        """Its text."""
        page = f"{self.page}.{self.line}" if self.line else str(self.page)
        return page if len(plan.leaves) == 1 else f"{self.leaf}/{page}"

    @property
    def tid(self) -> str:
        """The first row behind it, in a statement."""
        return f"'({self.page},{self.line})'"


def quoted(name: str) -> str:
    """A name in a statement."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in a statement."""
    escaped = text.replace("'", "''").replace("\\", "\\\\")
    return f"{'E' if chr(92) in text else ''}'{escaped}'"


def rows_between(leaf: Leaf, columns: Sequence[str], low: Place, stop: Place, conditions: Sequence[str]) -> str:
    """The query for the rows of a leaf from a place up to another one, which may be in a leaf behind it."""
    ranges = [f"ctid >= {low.tid}", *([f"ctid < {stop.tid}"] if stop.leaf == low.leaf else [])]
    return _select(columns, f"only {leaf.sql}", [*ranges, *conditions])


def rows_where(plan: CopyPlan, table: tuple[str, str], columns: Sequence[str], conditions: Sequence[str]) -> str:
    """The query for the rows of a table, with its partitions, for which conditions hold."""
    name = ".".join(map(quoted, table))
    return _select(columns, name if plan.is_partitioned else f"only {name}", conditions)


def _select(columns: Sequence[str], source: str, conditions: Sequence[str]) -> str:
    wanted = " and ".join(f"({condition}\n)" for condition in conditions if condition)
    names = ", ".join(quoted(name) for name in columns)
    return f"select {names} from {source} where {wanted}"  # noqa: S608 - quoted, and checked by catalog.py
