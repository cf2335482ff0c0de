"""``/pipelines/{name}/checkpoints``. Contract 01 section 2.8."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify

from api.body import json_body
from deltaforge.control.service import PipelineService

blueprint = Blueprint("checkpoints", __name__)


@blueprint.get("/pipelines/<name>/checkpoints")
async def list_checkpoints(name: str) -> Response:
    """The saved position of each sink and its age."""
    service: PipelineService = current_app.extensions["service"]
    return jsonify(await service.checkpoints(name))


@blueprint.post("/pipelines/<name>/checkpoints/reset")
async def reset_checkpoints(name: str) -> Response:
    """Begin somewhere else at the next start; only while the pipeline is stopped."""
    service: PipelineService = current_app.extensions["service"]
    service.get(name)
    return jsonify(await service.reset_checkpoints(name, await json_body()))
