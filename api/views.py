"""Domain objects to response bodies. Contract 01 section 1.2."""

from __future__ import annotations

from typing import Any

from deltaforge.control.pipeline import Pipeline


def pipe_info(pipeline: Pipeline, ops: dict[str, Any] | None = None) -> dict[str, Any]:
    """``{"name", "status", "spec"[, "ops"]}``; the document has its secrets redacted."""
    info = {"name": pipeline.name, "status": pipeline.supervisor.status, "spec": pipeline.echo()}
    if ops is not None:
        info["ops"] = ops
    return info
