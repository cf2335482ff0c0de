"""What a reader says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from deltaforge.core.positions import Position


@dataclass(frozen=True)
class ReaderStatus:
    """What the reader is doing now.

    ``last_error`` is the reason of the present disconnection, None while connected.
    ``last_event_ts_ms`` is the source's commit time of the newest event read. ``log_end`` is the newest place of the
    log that the server told us of, None while disconnected. ``unmatched_patterns`` are those of the stream.
    """

    connected: bool
    paused: bool
    position: Position | None
    last_error: str | None
    reconnects: int
    events_read: int
    last_event_ts_ms: int | None
    queued_batches: int
    log_end: Position | None = None
    unmatched_patterns: dict[str, str] = field(default_factory=dict)
