"""Metrics of the control plane, and those of every pipeline process merged with them."""

from __future__ import annotations

import asyncio
import platform
import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deltaforge import __version__
from deltaforge.build import build
from deltaforge.control import child
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import ControlError
from deltaforge.observability.metrics import LATENCY_BUCKETS
from deltaforge.observability.process import ProcessMetrics
from deltaforge.runtime.merging import merged_metrics

MAX_LABELS, MAX_LABEL_CHARS = 32, 200
"""Of a document's labels, so many are shown, and so much of each."""
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_STATUS = {"running": 1.0, "paused": 0.5, "stopped": 0.0, "failed": -1.0}


class ControlMetrics:
    """Counts requests, and renders everything as Prometheus text."""

    def __init__(self, service: PipelineService) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._registry.register(_Pipelines(service))
        info = Gauge(
            "deltaforge_build_info", "1.", ("version", "commit", "build_date", "python"), registry=self._registry
        )
        info.labels(__version__, *build(), platform.python_version()).set(1)
        self._registry.register(ProcessMetrics({}))
        self._requests = Counter(
            "deltaforge_api_requests", "Requests.", ("route", "method", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "deltaforge_api_request_seconds", "Seconds.", ("route",), buckets=LATENCY_BUCKETS, registry=self._registry
        )

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    async def text(self) -> str:
        """Prometheus text; each family stands once, whatever the number of pipelines."""
        answers = await asyncio.gather(*(self._of_child(p.name) for p in self._service.list([])))
        own = generate_latest(self._registry).decode()
        return merged_metrics([own, *answers])

    async def _of_child(self, name: str) -> str:
        try:
            answer = await child.ask(self._service.get(name).supervisor.paths, "metrics")
        except ControlError:
            return ""  # not running: its series are gone
        return str(answer.get("metrics", ""))


class _Pipelines(Collector):
    """The registry of pipelines as metrics, read when asked."""

    def __init__(self, service: PipelineService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        pipelines = self._service.list([])
        starts = Metric("deltaforge_pipelines", "Pipeline starts.", "counter")
        starts.add_sample("deltaforge_pipelines_total", {}, self._service.start_count())
        info = Metric("deltaforge_pipeline_info", "1 for each pipeline.", "gauge")
        status = Metric("deltaforge_pipeline_status", "1 running, 0.5 paused, 0 stopped, -1 failed.", "gauge")
        pauses = Metric("deltaforge_pipeline_pauses", "Pauses.", "counter")
        resumes = Metric("deltaforge_pipeline_resumes", "Resumes.", "counter")
        restarts = Metric("deltaforge_pipeline_restarts", "Processes made after one that ended by itself.", "counter")
        failed = Metric("deltaforge_pipeline_failed_starts", "Processes that could not be made.", "counter")
        for pipeline in pipelines:
            name, tenant = pipeline.name, pipeline.tenant
            about = {"pipeline": name, "tenant": tenant, **label_names(pipeline.labels)}
            info.add_sample("deltaforge_pipeline_info", about, 1)
            labels = {"pipeline": name}
            status.add_sample("deltaforge_pipeline_status", labels, _STATUS[pipeline.supervisor.status])
            pauses.add_sample("deltaforge_pipeline_pauses_total", labels, self._service.pause_counts[name])
            resumes.add_sample("deltaforge_pipeline_resumes_total", labels, self._service.resume_counts[name])
            supervisor = pipeline.supervisor
            restarts.add_sample("deltaforge_pipeline_restarts_total", labels, supervisor.restart_count)
            failed.add_sample("deltaforge_pipeline_failed_starts_total", labels, supervisor.failed_start_count)
        panics = Metric("deltaforge_panics", "Crashes: of pipeline processes, and of requests.", "counter")
        crashes = sum(pipeline.supervisor.crash_count for pipeline in pipelines)
        panics.add_sample("deltaforge_panics_total", {}, crashes + self._service.crash_count)
        files = Metric("deltaforge_config_files_refused", "Files of --config that are left out.", "gauge")
        files.add_sample("deltaforge_config_files_refused", {}, len(self._service.config_files.faults))
        yield from (starts, info, status, pauses, resumes, restarts, failed, panics, files)


def label_names(labels: dict[str, str]) -> dict[str, str]:
    """Labels of a document under names that Prometheus allows: ``label_`` and the key, with ``_`` for whatever else
    it holds. Of keys that become the same name the first in order stays.
    """
    named: dict[str, str] = {}
    for key, value in sorted(labels.items())[:MAX_LABELS]:
        named.setdefault(f"label_{_NO_LABEL.sub('_', key)}"[:MAX_LABEL_CHARS], value[:MAX_LABEL_CHARS])
    return named
