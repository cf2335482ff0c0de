"""How far a sink is: what it acked, and what its destination says if that keeps its progress itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.positions import Position
from deltaforge.core.resume import ResumeFilter, SinkProgress

log = logging.getLogger(__name__)


def replay_by_destination(
    log_fields: Mapping[str, str | None], stored: SinkProgress | None, saved: SinkCheckpoint | None
) -> ResumeFilter | None:
    """What to pass over because the destination has it; None: what was saved counts.

    Args:
        log_fields: Of log lines: the ``sink``, and the ``lane`` if there are several.
        stored: What the destination says.
        saved: What was saved with the pipeline.
    """
    if stored is not None and (saved is None or stored.position.is_behind(saved.position) is False):
        if saved is not None and (stored.position, stored.open_count) != (saved.position, 0):
            about = (log_fields["sink"], stored.position.view(), stored.open_count, saved.position.view())
            log.info("sink %s is at %s and %d events, ahead of the saved %s", *about, extra=log_fields)
        return ResumeFilter(stored)
    if saved is not None and saved.kept is not None and (stored is None or stored.position.is_behind(saved.kept)):
        log.warning(
            "the destination of sink %s has lost its position (%s, expected %s): the saved one holds, "
            "and what was delivered after it comes again",
            log_fields["sink"],
            stored.position.view() if stored else None,
            saved.kept.view(),
            extra=log_fields,
        )
    return None


def before_replay(stored: SinkProgress | None) -> SinkProgress | None:
    """What the progress of a run begins with: of the log nothing is known yet, of chunks what the destination says."""
    return SinkProgress(stored.position, chunk=stored.chunk, chunks=stored.chunks) if stored and stored.chunk else None


def checkpoint_at(
    sink_id: str, position: Position, before: SinkCheckpoint | None, *, is_kept: bool, is_replay: bool
) -> SinkCheckpoint:
    """What a sink has acked with everything up to ``position``.

    Args:
        sink_id: Of the sink.
        position: The end of what it was handed.
        before: What it had acked already.
        is_kept: Whether its destination keeps this position itself.
        is_replay: The log is read again that this sink has already; then its position does not go back.
    """
    kept = position if is_kept else before.kept if before else None
    if is_replay and before is not None and position.is_behind(before.position):
        position = before.position
    return SinkCheckpoint(sink_id, position, datetime.now(UTC), kept)
