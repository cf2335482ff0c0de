"""What a running pipeline says of itself: over the control socket and on the progress line."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from typing import Any, get_args

from deltaforge.config.secret import redacted
from deltaforge.core.errors import StorageError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.core.snapshot import TableStatus
from deltaforge.runtime import lane_status, log_status
from deltaforge.runtime.log_status import LogStatus
from deltaforge.runtime.running import RunningPipeline

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
    logs = _logs(pipeline)
    behind = log_status.bytes_behind(logs, pipeline.deliveries)
    return {
        "name": pipeline.info.name,
        "pid": os.getpid(),
        "document_sha256": document_digest(pipeline),
        "state": _state(pipeline, logs),
        "connected": log_status.are_connected(logs),
        "started_at": pipeline.info.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "uptime_seconds": round(time.monotonic() - pipeline.info.started_monotonic, 3),
        "source": _source(pipeline, logs),
        "sink_errors": _sink_errors(pipeline),
        "ended_sinks": lane_status.ended(pipeline.deliveries),
        "sinks_settled": lane_status.are_known(pipeline.deliveries),
        "lag_seconds": log_status.longest_lag(logs),
        **({} if behind is None else {"lag_bytes": behind}),
        "events_read": sum(each.reader.events_read for each in logs),
        "python_rows": pipeline.info.metrics.python_row_counts(),
        "checkpoints": lane_status.checkpoint_views(pipeline.deliveries),
        "snapshots": [_in_status(job) for job in _jobs_to_watch(snapshot_views(pipeline))],
    }


def part_of(pipeline: RunningPipeline) -> dict[str, int]:
    """How much of the pipeline is in this process: what its status speaks of."""
    return {"log_count": len(pipeline.sources), "lane_count": len(pipeline.deliveries)}


def snapshot_views(pipeline: RunningPipeline) -> list[dict[str, Any]]:
    """The snapshots of the pipeline; none where its source is not in this process."""
    return pipeline.snapshots.views() if pipeline.sources else []


def _jobs_to_watch(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not over, and the last one that ended of each log, if it failed."""
    active = [job for job in jobs if job["status"] in _GOING_ON]
    last_ended = {job.get("shard"): job for job in reversed(jobs) if job["status"] not in _GOING_ON}
    return active + [job for job in last_ended.values() if job["status"] == "failed"]


def _in_status(job: dict[str, Any]) -> dict[str, Any]:
    return {key: job[key] for key in (*_IN_STATUS, "shard") if key in job}


def say_what_was_delivered(pipeline: RunningPipeline) -> None:
    """Log at the end of a run what each sink got in it, and from where the next one goes on: in this process, whose
    lanes are named if the pipeline has several.
    """
    if not pipeline.deliveries:
        return
    places = lane_status.places(pipeline.deliveries)
    lane_status.show_spools(pipeline.deliveries)
    lanes = lane_status.lanes_text([lane.name for lane in sorted(pipeline.deliveries)])
    value_of = pipeline.info.metrics.registry.get_sample_value
    for sink in pipeline.info.spec.spec.sinks:
        labels = {"pipeline": pipeline.info.name, "sink": sink.config.id}
        count = int(value_of("deltaforge_sink_events_total", labels) or 0)
        waiting = int(value_of("deltaforge_sink_spool_events", labels) or 0)
        log.info(
            "sink %s: %s events delivered%s, %s%s",
            sink.config.id,
            f"{count:,}",
            f" in {lanes}" if lanes else "",
            places[sink.config.id],
            f", {waiting:,} wait in its spool" if waiting else "",
            extra={"sink": sink.config.id},
        )


def document_digest(pipeline: RunningPipeline) -> str:
    """SHA-256 of the document's file: tells a supervisor whether this process runs what it wants."""
    return pipeline.info.document_sha256 or hashlib.sha256(b"").hexdigest()


def metrics_text(pipeline: RunningPipeline) -> str:
    """Prometheus text of the pipeline's metrics, gauges brought up to date."""
    metrics = pipeline.info.metrics
    _show_logs(pipeline)
    metrics.show_table_lags(time.time())
    _show_snapshots(pipeline)
    _count_dead_letters(pipeline)
    lane_status.show_spools(pipeline.deliveries)
    _show_sinks(pipeline)
    return metrics.text()


def _show_sinks(pipeline: RunningPipeline) -> None:
    """A sink is as well as it is in the worst of its lanes."""
    metrics, name = pipeline.info.metrics, pipeline.info.name
    errors = lane_status.errors(pipeline.deliveries)
    is_up: dict[str, bool] = {}
    is_well: dict[tuple[str, bool], bool] = {}
    for feed in lane_status.feeds(pipeline.deliveries):
        is_up[feed.id] = is_up.get(feed.id, feed.id not in errors) and feed.worker.is_open
        key = feed.id, feed.worker.config.required
        is_well[key] = is_well.get(key, True) and feed.last_error is None
    for sink_id, is_sink_up in is_up.items():
        metrics.sink_up.labels(name, sink_id).set(is_sink_up)
    for (sink_id, is_required), is_sink_well in is_well.items():
        metrics.sink_checkpoint_status.labels(name, sink_id, str(is_required).lower()).set(is_sink_well)


def _logs(pipeline: RunningPipeline) -> list[LogStatus]:
    return log_status.of_logs(pipeline.sources, pipeline.info.spec.shards())


def _show_logs(pipeline: RunningPipeline) -> None:
    metrics, name, logs = pipeline.info.metrics, pipeline.info.name, _logs(pipeline)
    if not logs:
        return
    metrics.channel_depth.labels(name).set(sum(each.reader.queued_batches for each in logs))
    if (longest := log_status.longest_lag(logs)) is not None:
        metrics.source_lag_seconds.labels(name).set(longest)
    for each in logs:
        if (lag := log_status.lag_seconds(each.reader)) is not None:
            metrics.source_idle_seconds.labels(name, each.source.source_id).set(lag)
        if each.shard:
            behind = log_status.lag_bytes(each, pipeline.deliveries)
            metrics.show_shard(each.shard, is_up=not each.is_away, lag_seconds=lag, lag_bytes=behind)


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
    newest = {(job.get("shard"), table["name"]): table["fraction"] for job in reversed(jobs) for table in job["tables"]}
    shown: dict[str, float] = {}
    for (_, table), fraction in newest.items():
        label = metrics.table_label(table)
        shown[label] = min(fraction, shown.get(label, 1.0))
    for label, fraction in shown.items():
        metrics.snapshot_progress_ratio.labels(name, label).set(fraction)


def _count_dead_letters(pipeline: RunningPipeline) -> None:
    """Others may have removed some."""
    if pipeline.delivery is None or pipeline.delivery.dead_letters is None:
        return
    try:
        pipeline.delivery.dead_letters.letters.refresh()
    except StorageError as error:
        log.warning("dead letters cannot be counted: %s", error)


def _state(pipeline: RunningPipeline, logs: Sequence[LogStatus]) -> str:
    ending = pipeline.info.ending
    return "stopping" if ending.is_stopping or ending.failure is not None else log_status.state_of(logs)


def _sink_errors(pipeline: RunningPipeline) -> dict[str, str]:
    return {sink_id: redacted(text) for sink_id, text in lane_status.errors(pipeline.deliveries).items()}


def _source(pipeline: RunningPipeline, logs: Sequence[LogStatus]) -> dict[str, Any]:
    source = pipeline.info.spec.spec.source
    view = {"id": source.config.id, "type": source.type}
    if pipeline.info.spec.shards() != (ONE_LOG,):
        return {**view, **log_status.shards_view(logs, pipeline.deliveries)}
    return {**view, **log_status.source_view(logs[0] if logs else None)}
