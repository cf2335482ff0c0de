"""The open transaction of a log, which event ids are made of; the kernel has its own with the same attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deltaforge.core.event import EventIds
from deltaforge.kernel import kernel


class OpenTransaction:
    """What is known of a transaction when it begins.

    Attributes:
        ordinal: Changes so far, captured or not: ids do not depend on the capture list.
        savepoints: Names to the number of groups before them.

    Args:
        connector: ``mysql`` or ``postgresql``; part of event ids.
        origin: Where it began: the source of its GTID, else the server.
        identity: The GTID, ``file:pos`` of the first event, or the commit LSN.
        gtid: The one GTID; empty without GTIDs.
        commit_ms: Commit time where it began; None when the log does not say.
    """

    def __init__(self, connector: str, origin: str, identity: str, gtid: str, commit_ms: int | None) -> None:
        self.gtid = gtid
        self.commit_ms = commit_ms
        self.ordinal = 0
        self.savepoints: dict[str, int] = {}
        self.ids = EventIds.of(connector, origin, identity)


new_transaction: Callable[[str, str, str, str, int | None], Any] = (
    OpenTransaction if kernel is None else kernel.Transaction
)
"""An open transaction of whatever decodes its rows."""
