"""What the operating system says of a process, as the ``process_*`` metrics of every Prometheus client."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector


class ProcessMetrics(Collector):
    """``process_*`` of this process.

    Args:
        labels: What tells it from others.
    """

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._process = ProcessCollector(registry=CollectorRegistry())

    def collect(self) -> Iterator[Metric]:
        for family in self._process.collect():
            labelled = Metric(family.name, family.documentation, family.type)
            for sample in family.samples:
                labelled.add_sample(sample.name, {**sample.labels, **self._labels}, sample.value)
            yield labelled
