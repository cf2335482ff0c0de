"""``/pipelines/{name}/skips``: events that hold a pipeline up, and letting one of them pass."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify

from api.body import json_body
from deltaforge.control.service import PipelineService

blueprint = Blueprint("skips", __name__)


@blueprint.get("/pipelines/<name>/skips")
async def list_skips(name: str) -> Response:
    """The event that the source stands at, and those that were let pass."""
    service: PipelineService = current_app.extensions["service"]
    return jsonify(await service.skips(name))


@blueprint.post("/pipelines/<name>/skips")
async def add_skip(name: str) -> Response:
    """Let the event pass that the source stands at."""
    service: PipelineService = current_app.extensions["service"]
    service.get(name)
    return jsonify(await service.add_skip(name, await json_body()))
