"""``/pipelines/{name}/checkpoints``. Contract 01 section 2.8."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify

from deltaforge.control.service import PipelineService

blueprint = Blueprint("checkpoints", __name__)


@blueprint.get("/pipelines/<name>/checkpoints")
async def list_checkpoints(name: str) -> Response:
    """The saved position of each sink and its age."""
    service: PipelineService = current_app.extensions["service"]
    return jsonify(await service.checkpoints(name))
