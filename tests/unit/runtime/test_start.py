"""What a pipeline loads before its first row."""

import json
import subprocess
import sys

DOCUMENT = {
    "metadata": {"name": "p", "tenant": "acme"},
    "spec": {
        "source": {
            "type": "postgres",
            "config": {
                "id": "a",
                "dsn": "postgresql://localhost/d",
                "publication": "pub",
                "slot": "s",
                "tables": ["public.t"],
            },
        },
        "processors": [],
        "sinks": [{"type": "kafka", "config": {"id": "k", "brokers": "localhost:9092", "topic": "t"}}],
    },
}
STARTED = """
import json, sys
from deltaforge.runtime.launcher import run_info_of
from deltaforge.runtime import control_socket, dataflow
from deltaforge.sinks.base import SinkContext
from deltaforge.sources.postgres import stream
from deltaforge.spec import parse_document
from pathlib import Path

info = run_info_of(parse_document(json.loads(sys.argv[1])), Path("nowhere"))
(sink,) = info.spec.spec.sinks
sink.build(SinkContext("p", "acme", info.metrics, ""))
print(json.dumps(sorted(sys.modules)))
"""
NOT_NEEDED = {
    "yaml", "urllib3", "rich.console", "pymysql", "redis", "quart", "hypercorn", "pyarrow", "boto3",
    "deltaforge.sources.mysql.stream", "deltaforge.sinks.kafka.exactly_once", "deltaforge.sensing.pipeline",
    "deltaforge.runtime.sensing_step", "deltaforge.encodings.registry_encoder", "deltaforge.encodings.records",
    "deltaforge.encodings.schema_registry", "deltaforge.records.cdc", "deltaforge.runtime.progress",
    "deltaforge.spec.yaml_reader", "deltaforge.cli", "deltaforge.control",
}  # fmt: skip


def test_a_pipeline_loads_nothing_of_sinks_encodings_and_features_that_it_has_not():
    done = subprocess.run([sys.executable, "-c", STARTED, json.dumps(DOCUMENT)], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"psycopg", "deltaforge.sinks.kafka.writer", "deltaforge.encodings.json"} <= loaded
    assert not NOT_NEEDED & loaded
