"""The page of the metrics says of each metric of a pipeline what the code says. The rest: e2e/test_metrics.py."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from deltaforge.observability.metrics import PipelineMetrics

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
ROW = re.compile(r"^\| `(deltaforge_[a-z0-9_]+)` \| (\w+) \| ([^|]*) \| (.*) \|$", re.MULTILINE)


def test_metrics_of_a_pipeline_are_described_as_they_are():
    described = {name: (kind, labels, text) for name, kind, labels, text in ROW.findall(PAGE.read_text())}
    for metric in PipelineMetrics("p").registry._collector_to_names:
        if isinstance(metric, MetricWrapperBase):
            name = f"{metric._name}_total" if metric._type == "counter" else metric._name
            assert described[name] == (metric._type, ", ".join(metric._labelnames), metric._documentation)
