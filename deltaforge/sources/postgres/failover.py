"""Whether our place in the WAL means on this server what it meant where it was saved.

A standby that was promoted keeps the system identifier and begins a new timeline; up to the switch both timelines are
the same. A restored or upgraded cluster, or one made by ``initdb``, is another system: its WAL positions have nothing
to do with ours, even if a slot of our name is there.
"""

from __future__ import annotations

import re

from deltaforge.checkpoint.identity import ServerIdentity
from deltaforge.core.errors import SourceError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.positions.postgres import lsn_from_text, text_from_lsn
from deltaforge.sources.failover import lost
from deltaforge.sources.postgres.catalog import Catalog, SlotState
from deltaforge.sources.postgres.client import ReplicationConnection

_SWITCH = re.compile(r"^[ \t]*(\d+)\s+([0-9A-Fa-f]+/[0-9A-Fa-f]+)", re.MULTILINE)
_SLOT_HINT = "drop the slot, then reset the checkpoint to earliest, or delete the pipeline and create it again"


def switches_of(history: str) -> dict[int, int]:
    """The timelines before a server's own, and the LSN up to which each of them is part of its history.

    Source: the timeline history file, ``timeline.c``: lines of timeline, LSN and reason; ``#`` begins a comment.
    """
    return {int(timeline): lsn_from_text(lsn) for timeline, lsn in _SWITCH.findall(history)}


def check_history(wire: ReplicationConnection, current: ServerIdentity, position: PostgresPosition) -> None:
    """Check that the server's WAL is the one we read, up to our position.

    Raises:
        PositionLostError: It is another system, or its timeline branched off before our position.
        SourceError: It is behind: the old primary of a failover.
    """
    if position.system_id and position.system_id != current.server:
        raise lost(
            f"the server is another system ({current.server}): positions of {position.system_id} mean nothing there",
            is_failover=True,
        )
    if 0 in (position.timeline, current.timeline) or position.timeline == current.timeline:
        return
    if current.timeline < position.timeline:
        raise SourceError(
            f"the server is on timeline {current.timeline}, the position on {position.timeline}: it is the old primary",
            kind="incompatible",
            hint="let the DSN lead to the new primary, and resume",
        )
    end = switches_of(wire.timeline_history(current.timeline)).get(position.timeline)
    if end is None or end < position.lsn:
        left = f"left timeline {position.timeline} at {text_from_lsn(end)}" if end else "has no part of our timeline"
        raise lost(
            f"the server's history {left}, we have read up to {text_from_lsn(position.lsn)}:"
            " it does not have all transactions that were read before",
            is_failover=True,
        )


def check_slot(state: SlotState, slot: str, database: str, *, is_failover: bool) -> None:
    """Check that a slot can be read by us.

    Raises:
        SourceError: Another plugin or another database, or prepared transactions; or it is kept in step with a
            primary, which ends with the promotion and is waited for.
        PositionLostError: The server has invalidated it.
    """
    if state.lost_reason:
        reason = f"replication slot {slot} was invalidated ({state.lost_reason})"
        raise lost(reason, is_failover=is_failover, hint=_SLOT_HINT)
    if state.plugin != "pgoutput" or state.database != database:
        raise SourceError(
            f"replication slot {slot} is for plugin {state.plugin} in database {state.database}",
            kind="incompatible",
            hint=f"use another slot name: this pipeline needs pgoutput in {database}",
        )
    if state.is_two_phase:
        raise SourceError(
            f"replication slot {slot} was made with two_phase = true:"
            " it sends rows of prepared transactions, which may still be rolled back",
            kind="incompatible",
            hint="name another slot, which the pipeline makes itself, or drop this one and make it without two_phase",
        )
    if state.is_synced_copy:
        raise SourceError(
            f"replication slot {slot} is a copy that this standby keeps: it cannot be read before the promotion",
            kind="connect",
            hint="promote the server, or let the DSN lead to the primary",
        )


def check_covers(state: SlotState | None, slot: str, position: PostgresPosition, *, is_failover: bool) -> None:
    """Check that the slot still has everything behind our position.

    Raises:
        PositionLostError: It is gone, or begins later.
    """
    if state is None:
        raise lost(f"replication slot {slot} does not exist any more", is_failover=is_failover)
    if state.confirmed > position.lsn:
        raise lost(
            f"replication slot {slot} begins at {text_from_lsn(state.confirmed)},"
            f" behind the saved {text_from_lsn(position.lsn)}: it was created again or read by somebody else",
            is_failover=is_failover,
        )


def check_reached(catalog: Catalog, position: PostgresPosition) -> None:
    """Check that the WAL goes as far as a position that an operator gave; one of a server was there.

    Raises:
        PositionLostError: It ends before.
    """
    if not position.system_id and position.lsn > (end := catalog.current_lsn()):
        reason = f"{text_from_lsn(position.lsn)} is behind the end of the WAL, {text_from_lsn(end)}"
        raise lost(reason, is_failover=False)
