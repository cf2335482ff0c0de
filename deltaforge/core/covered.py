"""Whether a sink already has an event: it lies at or before the sink's acked position."""

from __future__ import annotations

from deltaforge.core.event import SourceInfo
from deltaforge.core.gtid import GtidSet, MariadbGtids
from deltaforge.core.lsn import lsn_from_text
from deltaforge.core.position import MysqlPosition, Position, log_order


class CoveredBy:
    """Compares events with one acked position.

    PostgreSQL: the LSN of the event's commit lies before the position, which is the end of a commit.
    MySQL with GTIDs: the event's GTID is in the set. Otherwise: file and offset.
    """

    def __init__(self, position: Position) -> None:
        self._position = position
        self._gtids: GtidSet | MariadbGtids | None = None
        if isinstance(position, MysqlPosition) and position.gtid_set:
            is_mariadb = position.flavor == "mariadb"
            self._gtids = MariadbGtids(position.gtid_set) if is_mariadb else GtidSet(position.gtid_set)

    def covers(self, source: SourceInfo) -> bool:
        """Whether the event of this source block is at or before the position."""
        position = self._position
        if not isinstance(position, MysqlPosition):
            return bool(source.lsn) and lsn_from_text(str(source.lsn)) < position.lsn
        if self._gtids is not None and source.gtid:
            return self._gtids.contains(str(source.gtid))
        if not source.file or not source.pos:
            return False
        return log_order(MysqlPosition(str(source.file), int(source.pos))) <= log_order(position)
