"""``/log-level``. Contract 01 section 2.1."""

from __future__ import annotations

from quart import Blueprint, Response, jsonify

from api.body import json_body
from deltaforge.core.errors import SpecError
from deltaforge.observability.logging import current_level, set_level

blueprint = Blueprint("logs", __name__)


@blueprint.get("/log-level")
async def get_level() -> Response:
    """The present filter."""
    return jsonify({"level": current_level()})


@blueprint.route("/log-level", methods=["PUT", "PATCH"])
async def put_level() -> Response:
    """Set the filter of the control plane."""
    body = await json_body()
    level = body.get("level") if isinstance(body, dict) else None
    if not isinstance(level, str):
        raise SpecError('expected a body such as {"level": "info,deltaforge=debug"}', path="level")
    try:
        set_level(level)
    except ValueError as exc:
        raise SpecError(str(exc), path="level") from exc
    return jsonify({"level": current_level()})
