"""``/pipelines``. Contract 01 sections 2.2 and 2.3."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, g, jsonify, request

from api.body import MERGE_PATCH, document_body
from api.query import flag
from api.views import pipe_info
from deltaforge.control.service import PipelineService

blueprint = Blueprint("pipelines", __name__, url_prefix="/pipelines")


def _service() -> PipelineService:
    service: PipelineService = current_app.extensions["service"]
    return service


@blueprint.get("")
async def list_pipelines() -> Response:
    """All pipelines, or those with every given label."""
    return jsonify([pipe_info(pipeline) for pipeline in _service().list(request.args.getlist("label"))])


@blueprint.post("")
async def create_pipeline() -> Response:
    """Create from a full document and start."""
    created = await _service().create(await document_body())
    g.created = created.name
    return jsonify(pipe_info(created))


@blueprint.get("/<name>")
async def get_pipeline(name: str) -> Response:
    """One pipeline with its operational status."""
    service = _service()
    return jsonify(pipe_info(service.get(name), await service.ops(name)))


@blueprint.patch("/<name>")
async def patch_pipeline(name: str) -> Response:
    """Merge, validate, restart from the checkpoint. ``application/merge-patch+json`` replaces arrays."""
    service = _service()
    service.get(name)
    replaces_arrays = request.mimetype == MERGE_PATCH
    return jsonify(pipe_info(await service.patch(name, await document_body(), replaces_arrays=replaces_arrays)))


@blueprint.delete("/<name>")
async def delete_pipeline(name: str) -> tuple[str, int, dict[str, str]]:
    """Remove for good, checkpoint included; ``?drop_slot=true`` drops the replication slot, too. One that is left on
    the server stands in the header ``DeltaForge-Slot-Left``.
    """
    left = await _service().delete(name, drops_slot=flag("drop_slot"))
    if left is None:
        return "", 204, {}
    size = "unknown" if left.retained_bytes is None else left.retained_bytes
    return "", 204, {"DeltaForge-Slot-Left": f"{left.name}; retained_bytes={size}"}


@blueprint.post("/<name>/pause")
async def pause_pipeline(name: str) -> Response:
    """Consume nothing; the source connection stays."""
    return jsonify(pipe_info(await _service().pause(name)))


@blueprint.post("/<name>/resume")
async def resume_pipeline(name: str) -> Response:
    """Go on from paused, stopped or failed."""
    return jsonify(pipe_info(await _service().resume(name)))


@blueprint.post("/<name>/stop")
async def stop_pipeline(name: str) -> Response:
    """Flush, save the checkpoint, disconnect."""
    return jsonify(pipe_info(await _service().stop(name)))
