"""What a running pipeline says of itself: over the control socket and on the progress line."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from typing import Any, get_args

from deltaforge.config.secret import redacted
from deltaforge.core.errors import StorageError
from deltaforge.core.positions import Position, encode_position
from deltaforge.core.snapshot import TableStatus
from deltaforge.runtime import lane_status
from deltaforge.runtime.running import RunningPipeline
from deltaforge.sources.reader import ReaderStatus

log = logging.getLogger(__name__)

_GOING_ON = ("requested", "running", "paused")
_TABLE_STATUSES = get_args(TableStatus)
_IN_STATUS = (
    "id",
    "kind",
    "status",
    "rows",
    "fraction",
    "rows_per_second",
    "eta_seconds",
    "waiting_for",
    "waiting_seconds",
    "error",
)


def status(pipeline: RunningPipeline) -> dict[str, Any]:
    """The live figures of a pipeline, as plain JSON values."""
    reader = pipeline.reader.status() if pipeline.reader else None
    return {
        "name": pipeline.info.name,
        "pid": os.getpid(),
        "document_sha256": document_digest(pipeline),
        "state": _state(pipeline, reader),
        "connected": bool(reader and reader.connected),
        "started_at": pipeline.info.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "uptime_seconds": round(time.monotonic() - pipeline.info.started_monotonic, 3),
        "source": _source(pipeline, reader),
        "sink_errors": _sink_errors(pipeline),
        "ended_sinks": lane_status.ended(pipeline.deliveries),
        "sinks_settled": lane_status.are_known(pipeline.deliveries),
        "lag_seconds": lag_seconds(reader),
        **lag_bytes(pipeline, reader),
        "events_read": reader.events_read if reader else 0,
        "python_rows": pipeline.info.metrics.python_row_counts(),
        "checkpoints": lane_status.checkpoint_views(pipeline.deliveries),
        "snapshots": [{key: job[key] for key in _IN_STATUS} for job in _jobs_to_watch(snapshot_views(pipeline))],
    }


def snapshot_views(pipeline: RunningPipeline) -> list[dict[str, Any]]:
    """The snapshots of the pipeline; none where its source is not in this process."""
    source = pipeline.source
    return source.snapshots.views() if source is not None and source.snapshots is not None else []


def _jobs_to_watch(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not over, and the last one that ended, if it failed."""
    ended = [job for job in jobs if job["status"] not in _GOING_ON]
    active = [job for job in jobs if job["status"] in _GOING_ON]
    return active + [job for job in ended[:1] if job["status"] == "failed"]


def say_what_was_delivered(pipeline: RunningPipeline) -> None:
    """Log at the end of a run what each sink got in it, and from where the next one goes on."""
    if not pipeline.deliveries:
        return
    places = {found.sink_id: found.position.view() for _, found in lane_status.checkpoints(pipeline.deliveries)}
    for feed in lane_status.feeds(pipeline.deliveries):
        feed.show()
    value_of = pipeline.info.metrics.registry.get_sample_value
    for sink in pipeline.info.spec.spec.sinks:
        labels = {"pipeline": pipeline.info.name, "sink": sink.config.id}
        count = int(value_of("deltaforge_sink_events_total", labels) or 0)
        waiting = int(value_of("deltaforge_sink_spool_events", labels) or 0)
        place = " ".join(f"{key} {value}" for key, value in places.get(sink.config.id, {}).items())
        log.info(
            "sink %s: %s events delivered, %s%s",
            sink.config.id,
            f"{count:,}",
            f"stands at {place}" if place else "has no position yet",
            f", {waiting:,} wait in its spool" if waiting else "",
            extra={"sink": sink.config.id},
        )


def document_digest(pipeline: RunningPipeline) -> str:
    """SHA-256 of the document's file: tells a supervisor whether this process runs what it wants."""
    return pipeline.info.document_sha256 or hashlib.sha256(b"").hexdigest()


def lag_seconds(reader: ReaderStatus | None) -> float | None:
    """Now minus the commit time of the newest event read; None before the first."""
    if reader is None or reader.last_event_ts_ms is None:
        return None
    return round(max(0.0, time.time() - reader.last_event_ts_ms / 1000), 3)


def lag_bytes(pipeline: RunningPipeline, reader: ReaderStatus | None) -> dict[str, int]:
    """Bytes of log behind the position of the slowest sink, under ``lag_bytes``; empty when they are not known."""
    found = [bytes_behind(found.position, reader) for _, found in lane_status.checkpoints(pipeline.deliveries)]
    known = [count for count in found if count is not None]
    return {"lag_bytes": max(known)} if known and len(known) == len(found) else {}


def bytes_behind(position: Position, reader: ReaderStatus | None) -> int | None:
    """Bytes of log behind a position, as far as the server told us; None when that is not known."""
    return position.bytes_to(reader.log_end) if reader and reader.log_end else None


def metrics_text(pipeline: RunningPipeline) -> str:
    """Prometheus text of the pipeline's metrics, gauges brought up to date."""
    metrics, name = pipeline.info.metrics, pipeline.info.name
    reader = pipeline.reader.status() if pipeline.reader else None
    if reader is not None:
        metrics.channel_depth.labels(name).set(reader.queued_batches)
        lag = lag_seconds(reader)
        if lag is not None:
            source_id = pipeline.info.source_id
            metrics.source_lag_seconds.labels(name).set(lag)
            metrics.source_idle_seconds.labels(name, source_id).set(lag)
    metrics.show_table_lags(time.time())
    _show_snapshots(pipeline)
    _count_dead_letters(pipeline)
    errors = lane_status.errors(pipeline.deliveries)
    is_up: dict[str, bool] = {}
    for feed in lane_status.feeds(pipeline.deliveries):
        feed.show()
        is_up[feed.id] = is_up.get(feed.id, feed.id not in errors) and feed.worker.is_open
    for sink_id, is_sink_up in is_up.items():
        metrics.sink_up.labels(name, sink_id).set(is_sink_up)
    return metrics.text()


def _show_snapshots(pipeline: RunningPipeline) -> None:
    """Nothing of a pipeline that never copied anything."""
    metrics, name = pipeline.info.metrics, pipeline.info.name
    jobs = snapshot_views(pipeline)
    if not jobs:
        return
    active = [job for job in jobs if job["status"] in _GOING_ON]
    metrics.snapshot_active.labels(name).set(sum(job["status"] == "running" for job in active))
    metrics.snapshot_waiting.labels(name).set(any(job["waiting_for"] for job in active))
    tables = [table for job in _jobs_to_watch(jobs) for table in job["tables"]]
    for kind in _TABLE_STATUSES:
        metrics.snapshot_tables.labels(name, kind).set(sum(table["status"] == kind for table in tables))
    shown = {metrics.table_label(table["name"]): table["fraction"] for job in reversed(jobs) for table in job["tables"]}
    for table, fraction in shown.items():
        metrics.snapshot_progress_ratio.labels(name, table).set(fraction)


def _count_dead_letters(pipeline: RunningPipeline) -> None:
    """Others may have removed some."""
    if pipeline.delivery is None or pipeline.delivery.dead_letters is None:
        return
    try:
        pipeline.delivery.dead_letters.letters.refresh()
    except StorageError as error:
        log.warning("dead letters cannot be counted: %s", error)


def _state(pipeline: RunningPipeline, reader: ReaderStatus | None) -> str:
    source, ending = pipeline.source, pipeline.info.ending
    if ending.is_stopping or ending.failure is not None:
        return "stopping"
    if source is None or reader is None or not source.has_begun:
        return "starting"
    return "paused" if reader.paused else "running"


def _sink_errors(pipeline: RunningPipeline) -> dict[str, str]:
    return {sink_id: redacted(text) for sink_id, text in lane_status.errors(pipeline.deliveries).items()}


def _source(pipeline: RunningPipeline, reader: ReaderStatus | None) -> dict[str, Any]:
    source = pipeline.info.spec.spec.source
    return {
        "id": source.config.id,
        "type": source.type,
        "position": reader.position.view() if reader and reader.position else None,
        "log_end": encode_position(reader.log_end).decode() if reader and reader.log_end else None,
        "last_error": redacted(reader.last_error) if reader and reader.last_error else None,
        "reconnects": reader.reconnects if reader else 0,
        "unmatched_patterns": reader.unmatched_patterns if reader else {},
    }
