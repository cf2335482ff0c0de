"""``/log-level``. Contract 01 section 2.1."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify

from api.body import json_body
from deltaforge.control.log_level import set_log_level
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import SpecError
from deltaforge.observability.logging import current_level

blueprint = Blueprint("logs", __name__)


@blueprint.get("/log-level")
async def get_level() -> Response:
    """The present filter."""
    return jsonify({"level": current_level()})


@blueprint.route("/log-level", methods=["PUT", "PATCH"])
async def put_level() -> Response:
    """Set the filter of the control plane and of every pipeline process."""
    body = await json_body()
    level = body.get("level") if isinstance(body, dict) else None
    if not isinstance(level, str):
        raise SpecError('expected a body such as {"level": "info,deltaforge=debug"}', path="level")
    service: PipelineService = current_app.extensions["service"]
    try:
        return jsonify({"level": await set_log_level(service.list([]), level)})
    except ValueError as exc:
        raise SpecError(str(exc), path="level") from exc
