"""Our pipelines for one database: each case is one of them, as it is imported from the properties of Debezium's connector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deltaforge.debezium.given import Given
from deltaforge.debezium.importing import import_connector
from tests.compat import debezium
from tests.compat.cases import Case
from tests.pipelines import PipelineProcess


def prefix_of(source: str, case: Case) -> str:
    """A word that is nowhere else: it is replaced wherever it stands."""
    return f"ours{source.replace('-', '')}{case.name}"


def pipeline(
    source: str, database: Any, case: Case, folder: Path, servers: tuple[str, str]
) -> tuple[PipelineProcess, dict[str, str]]:
    """The pipeline, and what the import leaves out of the connector's properties: nothing, or the case fails.

    ``servers`` are the broker's and the registry's addresses.
    """
    brokers, registry_url = servers
    name = prefix_of(source, case)
    properties = debezium.connector(source, database, case, folder, registry_url) | {"name": name, "topic.prefix": name}
    if source.startswith("postgres"):
        properties["slot.name"] = f"ours_{case.name}_{database.name}"
    worker = {"bootstrap.servers": brokers}
    imported = import_connector(Given(properties, {}, is_server=False), worker, tenant="acme", writes_secrets=True)
    lost = {report.name: report.text for report in imported.reports if report.is_lost}
    spec = yaml.safe_load(imported.text)["spec"]
    made = PipelineProcess(
        folder / name,
        spec["source"],
        spec["sinks"],
        name=name,
        processors=spec["processors"],
        journal={"enabled": True},
    )
    return made, lost
