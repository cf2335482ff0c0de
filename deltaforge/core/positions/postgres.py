"""Positions in a PostgreSQL WAL, and log sequence numbers: 64-bit byte offsets written as ``X/Y`` in hex.

One system has one WAL, and LSNs grow along it. A standby that is promoted is the same system on another timeline, with
the same LSNs up to where that branched off: positions of one system are compared by LSN alone. Whether one lies on the
timeline that is read is checked when the source connects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from deltaforge.core.errors import CheckpointError
from deltaforge.core.event import SourceInfo
from deltaforge.core.positions.edges import LogEdge
from deltaforge.core.positions.written import check_keys, is_number

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class PostgresPosition(msgspec.Struct, frozen=True, tag_field="type", tag="postgres"):
    """Place in a PostgreSQL WAL: ``lsn`` is the *end* of the last commit record, and alone says where it is.

    It means something on the server ``system_id`` alone, up to where another timeline branched off ``timeline``
    (0: not known). ``system_id`` is empty where an operator gave it: it is then that of the server that is read.
    ``commit_ms`` is when the newest transaction before it was committed, as far as one was read, else when the reading
    began (0: not known): the time of messages that the log has none for. ``commit_lsn`` is where that one ended;
    unset: at ``lsn``; 0: none was read.
    """

    lsn: int
    tx_id: int | None = None
    system_id: str = ""
    timeline: int = 0
    commit_ms: int = 0
    commit_lsn: int | UnsetType = UNSET

    SHAPE: ClassVar[str] = '{"lsn": "X/Y", "tx_id": number or null}'
    BEGINS: ClassVar[Mapping[LogEdge | None, str]] = {
        LogEdge.EARLIEST: "where the replication slot begins; a slot that is gone is created again",
        LogEdge.LATEST: "at the end of the WAL as it is then: rows before it are not delivered",
        None: "at that position; it fails if the replication slot begins behind it",
    }

    @property
    def last_commit(self) -> int:
        """Where the newest transaction before it ended; 0 if none was read."""
        return self.lsn if self.commit_lsn is UNSET else self.commit_lsn

    def after(self, last_commit: int) -> PostgresPosition:
        """The position with where the newest transaction before it ended."""
        return self if last_commit == self.lsn else msgspec.structs.replace(self, commit_lsn=last_commit)

    @property
    def order(self) -> tuple[int, int]:
        """Grows along the WAL."""
        return self.lsn, 0

    def is_behind(self, other: object) -> bool | None:
        """Whether ``other`` lies further on in the WAL; None if it is of another system."""
        if isinstance(other, PostgresPosition) and self._is_of_system_of(other):
            return self.lsn < other.lsn
        return None

    def covers(self, source: SourceInfo) -> bool:
        """Whether the event of this source block lies before the position: it has the LSN where its commit begins."""
        return bool(source.lsn) and lsn_from_text(str(source.lsn)) < self.lsn

    def bytes_to(self, end: object) -> int | None:
        """Bytes of WAL from here up to ``end``; None if it is of another system."""
        if isinstance(end, PostgresPosition) and self._is_of_system_of(end):
            return max(0, end.lsn - self.lsn)
        return None

    def view(self) -> dict[str, Any]:
        """The shape of contract 01: ``{"lsn": "X/Y", "tx_id"}``."""
        return {"lsn": text_from_lsn(self.lsn), "tx_id": self.tx_id}

    @classmethod
    def from_view(cls, view: dict[str, Any]) -> PostgresPosition:
        """A position as an operator writes it.

        Raises:
            ValueError, TypeError, CheckpointError: It is none.
        """
        check_keys(view, required=("lsn",), optional=("tx_id",))
        lsn, tx_id = view["lsn"], view.get("tx_id")
        if not isinstance(lsn, str):
            raise TypeError("`lsn` must be a text")
        if tx_id is not None and not is_number(tx_id):
            raise TypeError("`tx_id` must be a number or null")
        return cls(lsn_from_text(lsn), tx_id)

    def missing_beside(self, saved: object) -> str:
        """Nothing: an LSN is enough."""
        del saved
        return ""

    def _is_of_system_of(self, other: PostgresPosition) -> bool:
        return self.system_id == other.system_id or "" in (self.system_id, other.system_id)


def lsn_from_text(text: str) -> int:
    """``"0/16B6C50"`` as a number.

    Raises:
        CheckpointError: Not an LSN.
    """
    match = _LSN.fullmatch(text)
    if match is None:
        raise CheckpointError(f"not an LSN: {text[:40]!r}", hint="write it as two hex numbers, e.g. 0/16B6C50")
    return int(match[1], 16) << 32 | int(match[2], 16)


def text_from_lsn(lsn: int) -> str:
    """A number as ``X/Y``, the way PostgreSQL prints it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
