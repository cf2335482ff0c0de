"""What happens to an event of the log that the stream refuses: it ends the reading, unless an operator let it pass."""

from __future__ import annotations

import logging

from deltaforge.checkpoint.skips import HeldEvent, Skips, digest_of
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.positions import MysqlPosition
from deltaforge.sources.base import SourceContext

log = logging.getLogger(__name__)


class Gate:
    """The refused events of one connection.

    Args:
        context: Of the source.
        source_id: For log lines and metrics.
    """

    def __init__(self, context: SourceContext, source_id: str) -> None:
        self._context = context
        self._source_id = source_id
        self._skips = Skips(context.state_dir)
        self._server = ""

    def open(self, server: str) -> None:
        """The log of this server is read from now on."""
        self._server = server
        self._skips.go_on()

    def refuse(self, error: DeltaForgeError, position: MysqlPosition, content: bytes, what: str) -> None:
        """Return if an operator let the event pass; then it is logged and counted, and has no effect.

        Args:
            error: Why it is refused; ``tables`` in its context are those it may change.
            position: Where the event ends.
            content: Of the event: all that tells it from another one.
            what: The event for a reader, without values of rows.

        Raises:
            DeltaForgeError: ``error``, with event, place and remedy. The event is noted for the operator.
        """
        event = HeldEvent(
            position={"file": position.file, "pos": position.pos},
            server=self._server,
            digest=digest_of(content),
            what=what,
            tables=sorted(error.context.get("tables", ())),
            why=error.message,
        )
        skip = self._skips.of(event)
        if skip is not None:
            about = {"source_id": self._source_id, **skip.view()}
            log.warning("an event was left out, as an operator asked: %s", what, extra=about)
            self._context.metrics.skipped_events.labels(self._context.pipeline, self._source_id).inc()
            return
        self._skips.hold(event)
        error.message = f"{error.message}; at {position.file}:{position.pos}: {what}"
        remedy = (
            "to go past exactly this event, whose changes are then not delivered: "
            f"POST /pipelines/{self._context.pipeline}/skips or deltaforge skip, with this position and a reason"
        )
        error.hint = f"{error.hint}; {remedy}" if error.hint else remedy
        error.context |= event.position
        raise error
