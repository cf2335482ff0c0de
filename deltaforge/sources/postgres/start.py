"""Where a connection begins to read."""

from __future__ import annotations

import logging

from deltaforge.checkpoint.identity import ServerIdentity
from deltaforge.core.errors import SourceError
from deltaforge.core.positions import LogEdge, PostgresPosition
from deltaforge.core.positions.postgres import lsn_from_text, text_from_lsn
from deltaforge.sources.failover import FailoverCheck
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.client import ReplicationConnection
from deltaforge.sources.postgres.config import PostgresSourceConfig, StartLsn
from deltaforge.sources.postgres.failover import check_covers, check_history, check_reached, check_slot

log = logging.getLogger(__name__)


def start_of(
    config: PostgresSourceConfig,
    server: tuple[Catalog, ReplicationConnection],
    position: PostgresPosition | LogEdge | None,
    failover: FailoverCheck,
    *,
    is_standby: bool,
) -> int:
    """The LSN to read from; the slot is created if there is none.

    Args:
        config: Of the source.
        server: Its catalog, and the connection that is to read the log.
        position: The saved one, or where an operator wants to begin; None for the first start.
        failover: Of this connection.
        is_standby: Whether the server is one.

    Raises:
        PositionLostError: The log at the position is gone, or is that of another history.
        SourceError: The slot cannot be used.
    """
    catalog, wire = server
    slot, is_failover = config.slot, failover.is_failover
    if isinstance(position, PostgresPosition):
        check_history(wire, failover.current, position)
    state = catalog.slot(slot)
    if state is not None:
        check_slot(state, slot, catalog.database(), is_failover=is_failover)
        if state.is_endangered:
            log.warning("replication slot %s holds more WAL than max_slot_wal_keep_size: catch up soon", slot)
    if isinstance(position, PostgresPosition):
        check_reached(catalog, position)
        check_covers(state, slot, position, is_failover=is_failover)
        return position.lsn
    if state is not None:
        return _first_start(config, catalog, state.confirmed, position)
    created = wire.create_slot(slot, is_standby=is_standby)
    log.info("replication slot %s created at %s", slot, text_from_lsn(created))
    return _first_start(config, catalog, created, position)


def _first_start(config: PostgresSourceConfig, catalog: Catalog, earliest: int, edge: LogEdge | None) -> int:
    wanted = edge.value if edge else config.start_position
    if isinstance(wanted, StartLsn):
        return max(earliest, lsn_from_text(wanted.lsn))
    return earliest if wanted == "earliest" else max(earliest, catalog.current_lsn())


def wire_of(dsn: str, catalog: Catalog) -> ReplicationConnection:
    """A replication connection.

    Raises:
        SourceError: The server has none for us, with what the catalog knows of the reason.
    """
    try:
        return ReplicationConnection(dsn)
    except SourceError:
        catalog.check_replicates()  # the refusal of a connection has no SQLSTATE, and a text in the server's language
        raise


def server_of(position: PostgresPosition | None) -> ServerIdentity | None:
    """The server that a position is of, as far as it says."""
    return ServerIdentity(position.system_id, position.timeline) if position and position.system_id else None
