"""What sources give the kernel: captured tables, and the transaction that is open."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from deltaforge.core.event import EventIds


class OpenTransaction(Protocol):
    """The open transaction of a log, which event ids are made of.

    Attributes:
        ordinal: Changes so far, captured or not: ids do not depend on the capture list.
        thread: MySQL: the connection that began it, once that is known.
        last_commit_lsn: PostgreSQL: where the transaction before it ended; 0 when that is not known.
    """

    ordinal: int
    thread: int | None
    last_commit_lsn: int

    @property
    def gtid(self) -> str:
        """The one GTID; empty without GTIDs."""

    @property
    def commit_us(self) -> int | None:
        """Commit time where it began, in microseconds; None when the log does not say."""

    @property
    def commit_ms(self) -> int | None:
        """The same in milliseconds."""

    @property
    def savepoints(self) -> dict[str, int]:
        """Names to the number of groups before them. The caller adds to them."""

    @property
    def ids(self) -> EventIds:
        """Its event ids."""


class CapturedTable(Hashable, Protocol):
    """What the kernel asks of the definition of a table that its source captures."""

    @property
    def name(self) -> str:
        """Its name, for counts."""

    @property
    def plan(self) -> object:
        """Its columns as the kernel has them: a ``RowPlan``; None without a kernel."""

    @property
    def packed(self) -> bytes:
        """What its source makes it of again, elsewhere or later: see ``spec.source.table_codec``."""

    @property
    def source_name(self) -> str:
        """What its events call their source."""
