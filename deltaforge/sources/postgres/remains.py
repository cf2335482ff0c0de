"""The replication slot of a pipeline that is being deleted. It holds WAL back for as long as it is there."""

from __future__ import annotations

import time
from contextlib import closing

from deltaforge.core.errors import SourceError
from deltaforge.sources.base import LeftSlot
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.client import connect, source_errors

POLL_SECS = 0.2


def left_slot(dsn: str, slot: str) -> LeftSlot | None:
    """The slot, if it is there and one of ours.

    Raises:
        SourceError: The server cannot be asked.
    """
    with closing(connect(dsn)) as connection, source_errors("the replication slot cannot be looked at"):
        catalog = Catalog(connection)
        state = catalog.slot(slot)
        if state is None or state.is_synced_copy or (state.plugin, state.database) != ("pgoutput", catalog.database()):
            return None
        return LeftSlot(slot, catalog.retained_bytes(slot))


def drop_slot(dsn: str, slot: str, timeout_secs: float) -> None:
    """Drop the slot, as soon as nobody reads it.

    Raises:
        SourceError: It is there still.
    """
    deadline = time.monotonic() + timeout_secs
    with closing(connect(dsn)) as connection, source_errors(f"cannot drop replication slot {slot}"):
        while True:
            row = connection.execute(
                "select active_pid, plugin, database = current_database() from pg_replication_slots"
                " where slot_name = %s",
                [slot],
            ).fetchone()
            if row is None:
                return
            active_pid, plugin, is_here = row
            if plugin != "pgoutput" or not is_here:
                raise SourceError(f"replication slot {slot} is not of this pipeline", kind="incompatible")
            if active_pid is None:
                connection.execute("select pg_drop_replication_slot(%s)", [slot])
                return
            if time.monotonic() > deadline:
                raise SourceError(f"replication slot {slot} is in use by process {active_pid} of the server")
            time.sleep(POLL_SECS)
