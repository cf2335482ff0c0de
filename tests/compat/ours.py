"""Our pipelines for one database: each case is one of them, with a prefix of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.compat.cases import AVRO, SCHEMAS, Case
from tests.pipelines import PipelineProcess, mysql_source, postgres_source


def prefix_of(source: str, case: Case) -> str:
    """A word that is nowhere else: it is replaced wherever it stands."""
    return f"ours{source.replace('-', '')}{case.name}"


def pipeline(source: str, database: Any, case: Case, folder: Path, servers: tuple[str, str]) -> PipelineProcess:
    """``servers`` are the broker's and the registry's addresses."""
    brokers, registry_url = servers
    envelope = {"type": "debezium", "dialect": "connect", "topic_prefix": prefix_of(source, case), **case.ours}
    of_source = dict(case.of_source)
    if source == "mariadb":
        envelope["connector"] = "mariadb"
    if case.form == AVRO:
        encoding = {"type": "avro", "schema_registry_url": registry_url}
    else:
        encoding = {"type": "json", "schemas": "inline" if case.form == SCHEMAS else "none"}
    sink = {"type": "kafka", "config": {"id": "kafka", "brokers": brokers, "envelope": envelope, "encoding": encoding}}
    return PipelineProcess(
        folder / prefix_of(source, case),
        _source(source, database, case, of_source),
        [sink],
        name=prefix_of(source, case),
    )


def _source(source: str, database: Any, case: Case, more: dict[str, Any]) -> Any:
    if source.startswith("postgres"):
        return postgres_source(database, tables=["*.*"], slot=f"ours_{case.name}_{database.name}", snapshot={}, **more)
    return mysql_source(database, id=f"ours-{case.name}-{database.name}", snapshot={}, **more)
