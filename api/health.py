"""Health, readiness, metrics, dry-run validation. Contract 01 section 2.1."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, Response, current_app, jsonify

from api.body import document_body, located
from api.guard import is_trusted
from api.views import pipe_info
from deltaforge.control.metrics import ControlMetrics
from deltaforge.control.reading import troubles_of, unmatched_in
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import SpecError

blueprint = Blueprint("health", __name__)


def _service() -> PipelineService:
    service: PipelineService = current_app.extensions["service"]
    return service


@blueprint.get("/health")
async def health() -> tuple[Response, int]:
    """503 as soon as one pipeline has failed; ``reasons`` says why. Warnings leave the status as it is."""
    service = _service()
    failed, lives, pipelines = service.failed(), await service.lives(), service.list([])
    unmatched = unmatched_in(lives)
    warnings = {"unmatched_patterns": unmatched} if unmatched else {}
    troubled = {name for name, live in lives.items() if troubles_of(live)}
    degraded = sorted({*service.restarting(), *troubled, *await service.dead_letters.blocked(pipelines)})
    if failed:
        body = {
            "status": "unhealthy",
            "failed_pipelines": sorted(failed),
            "reasons": failed,
            **_degraded(degraded),
            **warnings,
        }
        return jsonify(_shown(body)), 503
    return jsonify(_shown({"status": "healthy", "pipelines": len(pipelines), **_degraded(degraded), **warnings})), 200


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    """What the sender may see of it: whoever has no token gets codes for reasons, and no names of tables."""
    if is_trusted():
        return body
    codes = {name: _service().get(name).supervisor.kind or "other" for name in body.get("reasons", {})}
    return {key: codes if key == "reasons" else value for key, value in body.items() if key != "unmatched_patterns"}


def _degraded(names: list[str]) -> dict[str, list[str]]:
    """Pipelines that run but wait for somebody; the key is there only if there are any."""
    return {"degraded_pipelines": names} if names else {}


@blueprint.get("/ready")
async def ready() -> Response:
    """The state of every pipeline; always 200. ``degraded`` says what keeps which from delivering."""
    service = _service()
    troubles = {name: found for name, live in (await service.lives()).items() if (found := troubles_of(live))}
    body: dict[str, Any] = {"status": "ready", "pipelines": [pipe_info(pipeline) for pipeline in service.list([])]}
    return jsonify({**body, "degraded": troubles} if troubles else body)


@blueprint.get("/metrics")
async def metrics() -> Response:
    """Prometheus text of the control plane and of every pipeline."""
    found: ControlMetrics = current_app.extensions["metrics"]
    return Response(await found.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


@blueprint.post("/validate")
async def validate() -> tuple[Response, int]:
    """Check a document; nothing is connected or created. This error body has a shape of its own."""
    service = _service()
    try:
        parsed = await service.background.run(service.validate, await document_body())
    except SpecError as error:
        return jsonify({"valid": False, "error": str(await located(error))}), 400
    spec = parsed.spec
    body = {
        "valid": True,
        "pipeline": spec.metadata.name,
        "source_type": spec.spec.source.type,
        "sink_count": len(spec.spec.sinks),
    }
    if parsed.warnings:
        body["warnings"] = parsed.warnings
    return jsonify(body), 200
