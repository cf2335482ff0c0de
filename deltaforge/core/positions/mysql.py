"""Positions in a MySQL or MariaDB binary log.

Two clocks tell where a position stands. File and offset mean something on one server only, and there only while its
history is not reset. GTIDs mean the same on every server of a replication tree. So where both positions have GTIDs
these alone decide, also on one server: a dump that begins by GTIDs stands at the start of a file that was read in part.
Without them file and offset decide, if both are of one server.

* MySQL: a set of GTIDs. Sets are ordered in part only: after a failover each of two positions may have what the other
  has not, and then each is behind the other.
* MariaDB: the last transaction of each replication domain. A position is behind another one if it is in any domain;
  which server wrote a transaction does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from deltaforge.core.event import SourceInfo
from deltaforge.core.positions.edges import LogEdge
from deltaforge.core.positions.gtid import GtidSet, MariadbGtids
from deltaforge.core.positions.written import check_keys, is_number

FIRST_EVENT = 4
"""Offset behind the magic number of a binary log."""


class MysqlPosition(msgspec.Struct, frozen=True, tag_field="type", tag="mysql"):
    """Place in a MySQL or MariaDB binary log.

    ``pos`` is the offset in ``file`` just after the last transaction. ``gtid_set`` holds everything
    executed up to there (MySQL ``uuid[:tag]:1-5:7,…``; MariaDB ``domain-server-seq,…``), empty when
    the server has no GTIDs. ``server_uuid`` tells whether ``file``/``pos`` mean anything on the
    server we are connected to. In a position that an operator gave, ``flavor`` and ``server_uuid`` are
    empty: the source fills them in, so they are those of the server that is read.
    """

    file: str
    pos: int
    gtid_set: str = ""
    flavor: str = "mysql"
    server_uuid: str = ""

    SHAPE: ClassVar[str] = '{"file": text, "pos": number, "gtid_set": text, if the server has GTIDs}'
    BEGINS: ClassVar[Mapping[LogEdge | None, str]] = {
        LogEdge.EARLIEST: "at the beginning of the oldest binary log that the server still has",
        LogEdge.LATEST: "at the end of the binary log as it is then: rows before it are not delivered",
        None: "at that position; it fails if the binary log does not hold it any more",
    }

    @property
    def order(self) -> tuple[int, int]:
        """Number of the file, and offset: grows along the log of one server."""
        return _order(self.file, self.pos)

    def is_behind(self, other: object) -> bool | None:
        """Whether ``other`` has something before it that this position has not; None if nobody can tell."""
        if not isinstance(other, MysqlPosition):
            return None
        if self.gtid_set and other.gtid_set:
            mine, theirs = _executed(self.gtid_set), _executed(other.gtid_set)
            is_one_kind = isinstance(mine, GtidSet) == isinstance(theirs, GtidSet)
            return not theirs.issubset(mine) if is_one_kind else None
        return self.order < other.order if self._is_of_server_of(other) else None

    def covers(self, source: SourceInfo) -> bool:
        """Whether the event of this source block lies at or before the position. Its file is taken for one of the
        same server.
        """
        if self.gtid_set and source.gtid:
            return _executed(self.gtid_set).contains(str(source.gtid))
        if not source.file or not source.pos:
            return False
        return _order(str(source.file), int(source.pos)) <= self.order

    def bytes_to(self, end: object) -> int | None:
        """Bytes of log behind this position up to ``end``; None if nobody knows: how long a binary log file that lies
        between them is was never told.
        """
        if isinstance(end, MysqlPosition) and self.file == end.file and self._is_of_server_of(end):
            return max(0, end.pos - self.pos)
        return None

    def view(self) -> dict[str, Any]:
        """The shape of contract 01: ``{"file", "pos"[, "gtid_set"]}``."""
        shape: dict[str, Any] = {"file": self.file, "pos": self.pos}
        if self.gtid_set:
            shape["gtid_set"] = self.gtid_set
        return shape

    @classmethod
    def from_view(cls, view: dict[str, Any]) -> MysqlPosition:
        """A position as an operator writes it.

        Raises:
            ValueError, TypeError, CheckpointError: It is none.
        """
        check_keys(view, required=("file", "pos"), optional=("gtid_set",))
        file, pos, gtids = view["file"], view["pos"], view.get("gtid_set", "")
        if not isinstance(file, str) or not file.rpartition(".")[2].isdigit():
            raise ValueError("`file` must be the name of a binary log, e.g. binlog.000012")
        if not is_number(pos) or not FIRST_EVENT <= pos < 1 << 64:
            raise ValueError(f"`pos` must be a number of bytes, {FIRST_EVENT} at least")
        if not isinstance(gtids, str):
            raise TypeError("`gtid_set` must be a text")
        return cls(file, pos, str(_parsed(gtids)), flavor="")

    def missing_beside(self, saved: object) -> str:
        """What the position lacks, so that reading would later begin at the wrong place; empty if that is nothing.
        MariaDB says by itself which GTIDs lie before a place.
        """
        has_gtids = isinstance(saved, MysqlPosition) and saved.flavor != "mariadb" and bool(saved.gtid_set)
        return "missing field `gtid_set`: the server has GTIDs" if has_gtids and not self.gtid_set else ""

    def _is_of_server_of(self, other: MysqlPosition) -> bool:
        return self.server_uuid == other.server_uuid or "" in (self.server_uuid, other.server_uuid)


def _order(file: str, pos: int) -> tuple[int, int]:
    digits = file.rpartition(".")[2]
    return (int(digits) if digits.isdigit() else 0), pos


def _parsed(gtids: str) -> GtidSet | MariadbGtids:
    return GtidSet(gtids) if ":" in gtids else MariadbGtids(gtids)


_executed = lru_cache(maxsize=8)(_parsed)
"""What was parsed last: one position is compared with many events. Not to be changed."""
