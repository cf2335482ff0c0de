"""Makes deltaforge.json: ``python deploy/grafana/dashboard.py``. A row of panels is a few lines here, and hundreds there.

Queries name the variables of the dashboard; tests/packaging/test_dashboard.py runs each against a Prometheus that scraped pipelines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("deltaforge.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF_PIPELINE = 'instance=~"$instance",pipeline=~"$pipeline"'
OF_SINK = f'{OF_PIPELINE},sink=~"$sink"'
OF_INSTANCE = 'instance=~"$instance"'
RATE = "$__rate_interval"
STATUS = {"1": ("running", "green"), "0.5": ("paused", "blue"), "0": ("stopped", "text"), "-1": ("failed", "red")}


@dataclass(frozen=True)
class Panel:
    """One panel: its queries by their legends, and how they are shown.

    Attributes:
        red: From which value on a figure is red; None: never.
        width: Of 24 columns.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    text: str = ""
    red: float | None = None
    width: int = 8


def quantiles(metric: str, of: str, by: str, legend: str) -> dict[str, str]:
    """Median and 99th percentile of a histogram."""
    rate = f"sum by (le, {by}) (rate({metric}_bucket{{{of}}}[{RATE}]))"
    return {f"{legend} p{100 * q:g}": f"histogram_quantile({q}, {rate})" for q in (0.5, 0.99)}


def rate_by(metric: str, of: str, by: str) -> str:
    """Increase per second, summed."""
    return f"sum by ({by}) (rate({metric}{{{of}}}[{RATE}]))"


ROWS: dict[str, list[Panel]] = {
    "Fleet": [
        Panel(
            "Pipelines by state",
            {
                name: f"count(deltaforge_pipeline_status{{{OF_PIPELINE}}} == {value}) or vector(0)"
                for value, (name, _) in STATUS.items()
            },
            kind="stat",
        ),
        Panel("State", {"{{pipeline}}": f"deltaforge_pipeline_status{{{OF_PIPELINE}}}"}, kind="state", width=16),
        Panel("Changes per second", {"delivered": f"sum(rate(deltaforge_sink_events_total{{{OF_SINK}}}[{RATE}]))"}, kind="stat", width=6),
        Panel("Slowest pipeline, since its last event", {"{{pipeline}}": f"topk(1, deltaforge_source_lag_seconds{{{OF_PIPELINE}}})"}, "s", "stat", width=6),
        Panel("Dead letters that wait", {"entries": f"sum(deltaforge_dlq_entries{{{OF_PIPELINE}}}) or vector(0)"}, kind="stat", red=1, width=6),
        Panel("Versions", {"{{version}} on {{instance}}": f"deltaforge_build_info{{{OF_INSTANCE}}}"}, kind="table", width=6),
    ],
    "Top pipelines": [
        Panel("Most changes delivered", {"{{pipeline}}": f"topk(10, {rate_by('deltaforge_sink_events_total', OF_SINK, 'pipeline')})"}, kind="bargauge"),
        Panel("Most log read", {"{{pipeline}}": f"topk(10, {rate_by('deltaforge_source_bytes_total', OF_PIPELINE, 'pipeline')})"}, "Bps", "bargauge"),
        Panel("Most changes by table", {"{{pipeline}} {{table}}": f"topk(10, {rate_by('deltaforge_source_events_total', OF_PIPELINE, 'pipeline, table')})"}, kind="bargauge"),
    ],
    "Throughput": [
        Panel("Read", {"{{pipeline}} {{op}}": rate_by("deltaforge_source_events_total", OF_PIPELINE, "pipeline, op")}, "cps"),
        Panel("Delivered", {"{{pipeline}} {{sink}}": rate_by("deltaforge_sink_events_total", OF_SINK, "pipeline, sink")}, "cps"),
        Panel("Bytes delivered", {"{{pipeline}} {{sink}}": rate_by("deltaforge_sink_bytes_total", OF_SINK, "pipeline, sink")}, "Bps"),
    ],
    "Latency and lag": [
        Panel("Since the last event was written", {"{{pipeline}}": f"deltaforge_source_lag_seconds{{{OF_PIPELINE}}}"}, "s", text="Grows on a source on which nothing happens, too."),
        Panel("From received to delivered", quantiles("deltaforge_e2e_latency_seconds", OF_PIPELINE, "pipeline", "{{pipeline}}"), "s"),
        Panel("A batch at a sink", quantiles("deltaforge_sink_latency_seconds", OF_SINK, "pipeline, sink", "{{pipeline}} {{sink}}"), "s"),
        Panel("Batches that wait for the dataflow", {"{{pipeline}}": f"deltaforge_pipeline_channel_depth{{{OF_PIPELINE}}}"}, text="Full: the sinks are the limit. Empty: the source is."),
        Panel("Stages", quantiles("deltaforge_stage_latency_seconds", OF_PIPELINE, "pipeline, stage", "{{pipeline}} {{stage}}"), "s"),
        Panel("Messages in Kafka producers", {"{{pipeline}} {{sink}}": f"deltaforge_kafka_producer_queue_messages{{{OF_SINK}}}"}),
    ],
    "Checkpoints": [
        Panel("Since a position was saved", {"{{pipeline}}": f"time() - deltaforge_last_checkpoint_ts{{{OF_PIPELINE}}}"}, "s"),
        Panel("Since a sink acknowledged", {"{{pipeline}} {{sink}}": f"time() - deltaforge_sink_last_checkpoint_ts{{{OF_SINK}}}"}, "s"),
        Panel("Sinks that are behind", {"{{pipeline}} {{sink}}": f"deltaforge_sink_checkpoint_status{{{OF_SINK}}} == 0"}, kind="table", text="Empty when all is well."),
        Panel("Positions saved", {"{{pipeline}}": rate_by("deltaforge_checkpoints_total", OF_PIPELINE, "pipeline")}, "cps"),
        Panel("Kafka transactions", {"{{pipeline}} {{sink}} committed": rate_by("deltaforge_sink_txn_commits_total", OF_SINK, "pipeline, sink"), "{{pipeline}} {{sink}} aborted": rate_by("deltaforge_sink_txn_aborts_total", OF_SINK, "pipeline, sink")}, "cps"),
        Panel("Resets by operators", {"{{pipeline}}": f"sum by (pipeline) (increase(deltaforge_checkpoint_resets_total{{{OF_PIPELINE}}}[$__range]))"}, kind="stat"),
    ],
    "Dead letters": [
        Panel("That wait", {"{{pipeline}}": f"deltaforge_dlq_entries{{{OF_PIPELINE}}}"}),
        Panel("New, by kind", {"{{pipeline}} {{sink}} {{error_kind}}": f"sum by (pipeline, sink, error_kind) (increase(deltaforge_dlq_events_total{{{OF_SINK}}}[{RATE}]))"}),
        Panel("Share of the queue that is full", {"{{pipeline}}": f"deltaforge_dlq_saturation_ratio{{{OF_PIPELINE}}}"}, "percentunit", red=0.8),
        Panel("Lost or not written", {f"{{{{pipeline}}}} {what}": f"sum by (pipeline) (increase(deltaforge_dlq_{what}_total{{{OF_PIPELINE}}}[$__range]))" for what in ("evicted", "rejected", "write_failures")}, kind="stat", red=1, width=24),
    ],
    "Errors": [
        Panel("Failed attempts of sinks", {"{{pipeline}} {{sink}}": rate_by("deltaforge_sink_errors_total", OF_SINK, "pipeline, sink")}, "cps"),
        Panel("Reconnections", {"{{pipeline}} {{source}}": f"sum by (pipeline, source) (increase(deltaforge_source_reconnects_total{{{OF_PIPELINE}}}[{RATE}]))", "{{pipeline}} {{sink}}": f"sum by (pipeline, sink) (increase(deltaforge_sink_reconnects_total{{{OF_SINK}}}[{RATE}]))"}),
        Panel("Errors that no retry mends", {"{{pipeline}} {{kind}}": f"sum by (pipeline, kind) (increase(deltaforge_source_errors_total{{{OF_PIPELINE}}}[$__range]))", "{{pipeline}} {{sink}} {{kind}}": f"sum by (pipeline, sink, kind) (increase(deltaforge_sink_routing_errors_total{{{OF_SINK}}}[$__range]))"}, kind="table"),
        Panel("Calls of sinks over their deadline", {"{{pipeline}} {{sink}}": f"sum by (pipeline, sink) (increase(deltaforge_coordinator_sink_timeout_total{{{OF_SINK}}}[{RATE}]))"}),
        Panel("Left out of the log", {"{{pipeline}} publication {{change}}": f"sum by (pipeline, change) (increase(deltaforge_source_publication_changes_total{{{OF_PIPELINE}}}[$__range]))", "{{pipeline}} skipped by hand": f"sum by (pipeline) (increase(deltaforge_source_skipped_events_total{{{OF_PIPELINE}}}[$__range]))"}, kind="table"),
        Panel("Patterns that no table matches", {"{{pipeline}}": f"deltaforge_source_unmatched_patterns{{{OF_PIPELINE}}} > 0"}, kind="table"),
    ],
    "Batching": [
        Panel("Changes in a batch", quantiles("deltaforge_batch_events", OF_PIPELINE, "pipeline", "{{pipeline}}")),
        Panel("Bytes of a batch", quantiles("deltaforge_batch_bytes", OF_PIPELINE, "pipeline", "{{pipeline}}"), "bytes"),
        Panel("Batches delivered", {"{{pipeline}} {{sink}}": rate_by("deltaforge_sink_batch_total", OF_SINK, "pipeline, sink")}, "cps"),
    ],
    "Spool": [
        Panel("Changes that wait on disk", {"{{pipeline}} {{sink}}": f"deltaforge_sink_spool_events{{{OF_SINK}}}"}),
        Panel("Size on disk", {"{{pipeline}} {{sink}}": f"deltaforge_sink_spool_size_bytes{{{OF_SINK}}}"}, "bytes"),
        Panel("Share that is full", {"{{pipeline}} {{sink}}": f"deltaforge_sink_spool_saturation_ratio{{{OF_SINK}}}"}, "percentunit", red=0.8),
        Panel("Sinks that were given up", {"{{pipeline}} {{sink}}": f"deltaforge_sink_detached{{{OF_SINK}}} == 1"}, kind="table", text="Empty when all is well.", width=24),
    ],
    "Slot": [
        Panel("WAL that slots of PostgreSQL hold back", {"{{pipeline}} {{source}}": f"deltaforge_source_slot_retained_bytes{{{OF_PIPELINE}}}"}, "bytes", width=24, text="Of pipelines that run: a slot of a stopped one is seen by the server only."),
    ],
    "Snapshots": [
        Panel("Rows copied", {"{{pipeline}} {{table}}": rate_by("deltaforge_snapshot_rows_total", OF_PIPELINE, "pipeline, table")}, "cps"),
        Panel("Share of a table that is copied", {"{{pipeline}} {{table}}": f"deltaforge_snapshot_progress_ratio{{{OF_PIPELINE}}} < 1"}, "percentunit"),
        Panel("Tables of snapshots that go on", {"{{pipeline}} {{status}}": f"deltaforge_snapshot_tables{{{OF_PIPELINE}}}"}, text="Failed ones need somebody: ops of the pipeline says why."),
        Panel("Chunks", {"{{pipeline}} {{result}}": rate_by("deltaforge_snapshot_chunks_total", OF_PIPELINE, "pipeline, result")}, "cps", text="Discarded ones are read again: the table changed, or its transactions were not visible yet."),
        Panel("Rows left out, as the log had newer ones", {"{{pipeline}} {{table}}": rate_by("deltaforge_snapshot_dropped_rows_total", OF_PIPELINE, "pipeline, table")}, "cps"),
        Panel("Snapshots that run, and wait for the server", {"{{pipeline}} run": f"deltaforge_snapshot_active{{{OF_PIPELINE}}}", "{{pipeline}} waits": f"deltaforge_snapshot_waiting{{{OF_PIPELINE}}}"}),
    ],
    "Shape of the data": [
        Panel("Definitions: hits and misses", {"{{pipeline}} hits": rate_by("deltaforge_source_schema_cache_hits_total", OF_PIPELINE, "pipeline"), "{{pipeline}} misses": rate_by("deltaforge_source_schema_cache_misses_total", OF_PIPELINE, "pipeline")}, "cps"),
        Panel("Sensed schemas that changed", {"{{pipeline}} {{table}}": f"sum by (pipeline, table) (increase(deltaforge_schema_evolutions_total{{{OF_PIPELINE}}}[{RATE}]))"}),
        Panel("Batches with drift", {"{{pipeline}}": rate_by("deltaforge_schema_drift_detected_total", OF_PIPELINE, "pipeline")}, "cps"),
    ],
    "Infrastructure": [
        Panel("Requests", {"{{method}} {{route}} {{status}}": rate_by("deltaforge_api_requests_total", OF_INSTANCE, "method, route, status")}, "reqps"),
        Panel("Seconds of a request, p99", {"{{route}}": f"histogram_quantile(0.99, {rate_by('deltaforge_api_request_seconds_bucket', OF_INSTANCE, 'le, route')})"}, "s"),
        Panel("Processes that ended by themselves, or could not be made", {"{{pipeline}} restarts": f"sum by (pipeline) (increase(deltaforge_pipeline_restarts_total{{{OF_PIPELINE}}}[{RATE}]))", "{{pipeline}} failed starts": f"sum by (pipeline) (increase(deltaforge_pipeline_failed_starts_total{{{OF_PIPELINE}}}[{RATE}]))"}),
        Panel("Scrapes that failed", {"{{instance}}": f"up{{{OF_INSTANCE}}} == 0"}, kind="table", width=12, text="Empty when all is well."),
        Panel("Seconds of a scrape", {"{{instance}}": f"scrape_duration_seconds{{{OF_INSTANCE}}}"}, "s", width=12),
    ],
}  # fmt: skip

VARIABLES = {
    "instance": "label_values(deltaforge_build_info, instance)",
    "tenant": 'label_values(deltaforge_pipeline_info{instance=~"$instance"}, tenant)',
    "pipeline": 'label_values(deltaforge_pipeline_info{instance=~"$instance",tenant=~"$tenant"}, pipeline)',
    "sink": 'label_values(deltaforge_sink_batch_total{instance=~"$instance",pipeline=~"$pipeline"}, sink)',
}
_KINDS = {"state": "state-timeline"}


def dashboard() -> dict[str, Any]:
    """The whole of it, as Grafana imports and provisions it."""
    return {
        "uid": "deltaforge",
        "title": "DeltaForge",
        "description": "Made by deploy/grafana/dashboard.py.",
        "tags": ["deltaforge", "cdc"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(name, query) for name, query in VARIABLES.items())]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row, panels in ROWS.items():
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": row, "collapsed": False, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        for panel in panels:
            if left + panel.width > 24:
                left, top = 0, top + 7
            yield _panel(panel, number, {"h": 7, "w": panel.width, "x": left, "y": top})
            number, left = number + 1, left + panel.width
        top += 7


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_now = panel.kind in ("stat", "table", "bargauge")
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": is_now,
            "range": not is_now,
            **({"format": "table"} if panel.kind == "table" else {}),
        }
        for n, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": _KINDS.get(panel.kind, panel.kind),
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    found: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "state":
        named = {value: {"text": text, "color": color} for value, (text, color) in STATUS.items()}
        found["mappings"] = [{"type": "value", "options": named}]
    if panel.kind == "timeseries":
        found["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        found["min"] = 0
    return found


def _options(kind: str) -> dict[str, Any]:
    if kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind in ("stat", "bargauge"):
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal"}
    return {}


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }


def text() -> str:
    """The file as it has to be."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
    sys.exit(0)
