"""Where a sink that keeps its own progress goes on: what its destination says, against what was saved."""

from __future__ import annotations

import logging

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.covered import Replay, is_behind
from deltaforge.core.position import SinkProgress

log = logging.getLogger(__name__)


def replay_by_destination(sink_id: str, kept: SinkProgress | None, saved: SinkCheckpoint | None) -> Replay | None:
    """What to pass over because the destination has it; None: what was saved counts.

    Args:
        sink_id: For log lines.
        kept: What the destination says.
        saved: What was saved with the pipeline.
    """
    if kept is not None and (saved is None or not is_behind(kept.position, saved.position)):
        if saved is not None and kept != SinkProgress(saved.position):
            about = (sink_id, kept.position.view(), kept.open_count, saved.position.view())
            log.info("sink %s is at %s and %d events, ahead of the saved %s", *about, extra={"sink": sink_id})
        return Replay(kept)
    if saved is not None and saved.kept is not None and (kept is None or is_behind(kept.position, saved.kept)):
        log.warning(
            "the destination of sink %s has lost its position (%s, expected %s): the saved one holds, "
            "and what was delivered after it comes again",
            sink_id,
            kept.position.view() if kept else None,
            saved.kept.view(),
            extra={"sink": sink_id},
        )
    return None
