"""What several processes of a pipeline say, made what one process would say. Pure: answers in, an answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from deltaforge.core.positions import POSITION_TYPES, Position, decode_position

SUMMED = frozenset(
    {
        "deltaforge_kafka_producer_queue_bytes",
        "deltaforge_kafka_producer_queue_messages",
        "deltaforge_pipeline_channel_depth",
        "deltaforge_schema_dynamic_maps_total",
        "deltaforge_schema_registry_cached_ids",
        "deltaforge_schema_tables_total",
        "deltaforge_sink_spool_events",
        "deltaforge_sink_spool_size_bytes",
        "deltaforge_snapshot_active",
        "deltaforge_snapshot_tables",
        "deltaforge_tail_listeners",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    }
)
"""Gauges of something that each process has a part of."""
LEAST = frozenset(
    {
        "deltaforge_snapshot_progress_ratio",
        "deltaforge_source_shard_up",
        "deltaforge_source_table_lag_seconds",
        "deltaforge_sink_checkpoint_status",
        "deltaforge_sink_up",
        "process_start_time_seconds",
    }
)
"""Gauges that are as low as the process with the lowest says: the worst one, or the one that read last."""
MOST = frozenset(
    {
        "deltaforge_dlq_entries",
        "deltaforge_dlq_saturation_ratio",
        "deltaforge_last_checkpoint_ts",
        "deltaforge_source_shard_lag_bytes",
        "deltaforge_source_shard_lag_seconds",
        "deltaforge_sink_detached",
        "deltaforge_sink_last_checkpoint_ts",
        "deltaforge_sink_spool_saturation_ratio",
        "deltaforge_snapshot_waiting",
        "deltaforge_source_idle_seconds",
        "deltaforge_source_lag_seconds",
        "deltaforge_source_slot_retained_bytes",
        "deltaforge_source_unmatched_patterns",
    }
)
"""Gauges that are as high as the worst process says, that all say alike, or that one process alone has."""

Answer = dict[str, Any]


def merged_status(parts: Sequence[Answer | None], shards: Sequence[str]) -> Answer:
    """The status of a pipeline.

    Args:
        parts: What each of its processes says of itself, with ``log_count`` and ``lane_count``, the one that was asked
            first; None: it does not answer.
        shards: Ids of the logs, in the order of the document.
    """
    here = [part for part in parts if part is not None]
    is_whole = len(here) == len(parts)
    reading = [part for part in here if part["log_count"]]
    delivering = [part for part in here if part["lane_count"]]
    merged = {
        **here[0],
        "state": _state(here, reading, is_whole=is_whole),
        "connected": is_whole and bool(reading) and all(part["connected"] for part in reading),
        "source": _source(here, reading, shards),
        "sink_errors": _joined_texts(part["sink_errors"] for part in here),
        "ended_sinks": [*dict.fromkeys(sink_id for part in here for sink_id in part["ended_sinks"])],
        "sinks_settled": is_whole and bool(delivering) and all(part["sinks_settled"] for part in delivering),
        "lag_seconds": max((lag for part in here if (lag := part["lag_seconds"]) is not None), default=None),
        "events_read": sum(part["events_read"] for part in here),
        "python_rows": dict(sum((Counter(part["python_rows"]) for part in here), Counter())),
        "checkpoints": sorted((view for part in here for view in part["checkpoints"]), key=_lane_order),
        "snapshots": [job for part in here for job in part["snapshots"]],
        "processes": [part["pid"] if part is not None else None for part in parts],
    }
    for name in ("log_count", "lane_count", "lag_bytes"):
        merged.pop(name, None)
    behind = _bytes_behind(merged, is_whole=is_whole)
    return merged if behind is None else {**merged, "lag_bytes": behind}


def merged_metrics(texts: Iterable[str]) -> str:
    """Prometheus text of several processes, each family once: counters and histograms are summed, gauges as
    :data:`SUMMED`, :data:`LEAST` and :data:`MOST` say. Series that differ in a label stay apart.
    """
    registry = CollectorRegistry()
    registry.register(_Merged(list(texts)))
    return generate_latest(registry).decode()


def _state(here: Sequence[Answer], reading: Sequence[Answer], *, is_whole: bool) -> str:
    if any(part["state"] == "stopping" for part in here):
        return "stopping"
    started = [part["state"] for part in reading if part["state"] != "starting"]
    if not started or not is_whole:
        return "starting"
    return "paused" if set(started) == {"paused"} else "running"


def _source(here: Sequence[Answer], reading: Sequence[Answer], shards: Sequence[str]) -> Answer:
    found = [part["source"] for part in reading] or [here[0]["source"]]
    if "shards" not in found[0]:
        return dict(found[0])
    order = {shard: place for place, shard in enumerate(shards)}
    errors = [source["last_error"] for source in found if source["last_error"]]
    return {
        **found[0],
        "last_error": "; ".join(errors) or None,
        "reconnects": sum(source["reconnects"] for source in found),
        "unmatched_patterns": {name: why for source in found for name, why in source["unmatched_patterns"].items()},
        "shards": sorted(
            (shard for source in found for shard in source["shards"]), key=lambda shard: order.get(shard["id"], 0)
        ),
    }


def _joined_texts(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for texts in found:
        for name, text in texts.items():
            joined.setdefault(name, []).append(text)
    return {name: "; ".join(dict.fromkeys(texts)) for name, texts in joined.items()}


def _lane_order(view: Answer) -> tuple[str, int]:
    """As :class:`~deltaforge.core.lanes.Lane` sorts."""
    shard, _, number = str(view.get("lane", "")).rpartition("#")
    return (shard, int(number)) if number.isdecimal() else (number, 0)


def _bytes_behind(status: Answer, *, is_whole: bool) -> int | None:
    """Of all logs together, each behind the slowest sink of its lanes, which may be elsewhere; None as soon as it is
    not known of one. That of each shard is brought up to date.
    """
    source = status["source"]
    logs = source.get("shards") or [source]
    total: int | None = 0
    for log in logs:
        shard = log["id"] if "shards" in source else None
        of_log = [view for view in status["checkpoints"] if shard is None or _lane_shard(view) == shard]
        end = log.get("log_end")
        behind = _behind(decode_position(end.encode()), of_log) if end and is_whole else None
        log.pop("lag_bytes", None)
        if behind is not None and shard is not None:
            log["lag_bytes"] = behind
        total = None if behind is None or total is None else total + behind
    return total


def _lane_shard(view: Answer) -> str:
    return str(view.get("lane", "")).partition("#")[0]


def _behind(end: Position, checkpoints: Sequence[Answer]) -> int | None:
    kind = next(kind for kind in POSITION_TYPES.values() if isinstance(end, kind))
    found = [kind.from_view(view["position"]).bytes_to(end) for view in checkpoints]
    known = [count for count in found if count is not None]
    return max(known) if known and len(known) == len(found) else None


class _Merged(Collector):
    """Families of several expositions, those of one name made one."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {}
        for text in self._texts:
            for family in text_string_to_metric_families(text):
                families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged = values.setdefault(family.name, {})
                for sample in family.samples:
                    key = sample.name, frozenset(sample.labels.items())
                    merged[key] = _both(family, merged[key], sample.value) if key in merged else sample.value
        for name, family in families.items():
            for (sample_name, labels), value in values[name].items():
                family.add_sample(sample_name, dict(labels), value)
            yield family


def _both(family: Metric, one: float, other: float) -> float:
    if family.type != "gauge" or family.name in SUMMED:
        return one + other
    return min(one, other) if family.name in LEAST else max(one, other)
