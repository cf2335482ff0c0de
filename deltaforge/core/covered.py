"""Whether a sink already has an event: it lies at or before the sink's acked position."""

from __future__ import annotations

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import TX_ID_LENGTH, SourceInfo
from deltaforge.core.gtid import GtidSet, MariadbGtids
from deltaforge.core.lsn import lsn_from_text
from deltaforge.core.position import MysqlPosition, Position, SinkProgress, log_order


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


def is_behind(position: Position, other: Position) -> bool:
    """Whether a position is not as far as another one of the same log: by LSN, GTIDs, or file and offset."""
    if isinstance(position, MysqlPosition) and isinstance(other, MysqlPosition):
        if position.gtid_set and other.gtid_set and position.flavor != "mariadb":
            return not GtidSet(other.gtid_set).issubset(GtidSet(position.gtid_set))
        if position.gtid_set and other.gtid_set:
            return _is_mariadb_behind(MariadbGtids(position.gtid_set), MariadbGtids(other.gtid_set))
    return log_order(position) < log_order(other)


def _is_mariadb_behind(gtids: MariadbGtids, other: MariadbGtids) -> bool:
    mine, theirs = gtids.domains(), other.domains()
    return any(domain not in mine or mine[domain][1] < seq for domain, (_, seq) in theirs.items())


class Replay:
    """Takes out of a repeated stretch of the log what a sink has already.

    Args:
        progress: How far the sink is.
    """

    def __init__(self, progress: SinkProgress) -> None:
        self._covered: CoveredBy | None = CoveredBy(progress.position)
        self._open_count, self._open_tx = progress.open_count, progress.open_tx

    @property
    def is_over(self) -> bool:
        """Whether everything from here on is news."""
        return self._covered is None and not self._open_count

    def news(self, batch: Batch) -> Batch:
        """The batch without what the sink has; itself if that is nothing."""
        if not batch.event_count:
            return batch
        if self._covered is not None:
            covered = self._covered
            news = batch.where(lambda event: not covered.covers(event.source))
            if news is batch:
                self._covered = None  # the log has passed the position
            batch = news
        if self._open_count and batch.event_count:
            batch, self._open_count = without_first(batch, self._open_count, self._open_tx)
        return batch


def advanced(before: SinkProgress | None, batch: Batch) -> SinkProgress | None:
    """How far the log is after a batch.

    Args:
        before: After the batches before it.
        batch: As it was read: nothing is taken out of it.
    """
    if batch.is_tx_end:
        return SinkProgress(batch.position)
    if not batch.event_count:
        return before
    open_tx = transaction_of(batch.groups[0])
    open_count = before.open_count if before and before.open_tx == open_tx else 0
    return SinkProgress(batch.position, open_count + batch.event_count, open_tx)


def transaction_of(group: EventGroup) -> str:
    """What the ids of all events of the group's transaction begin with."""
    return (group.head().event_id or "")[:TX_ID_LENGTH]


def without_first(batch: Batch, count: int, transaction: str) -> tuple[Batch, int]:
    """The batch without its first ``count`` events, as far as they are of that transaction.

    Returns:
        What is left, and how many events are still to come. None are once another transaction has
        begun: it is not repeated, whatever became of the one before. Events without ids are never left out.
    """
    kept: list[EventGroup] = []
    for group in batch.groups:
        if count and not (transaction and transaction_of(group) == transaction):
            count = 0
        if count < group.event_count:
            kept.append(DecodedGroup(group.events()[count:]) if count else group)
        count = max(0, count - group.event_count)
    return batch.with_groups(kept), count
