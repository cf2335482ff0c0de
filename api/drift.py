"""``/pipelines/{name}/drift``. Contract 01 section 2.6."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify, request

from api.query import flag
from deltaforge.control.shapes import DriftView

blueprint = Blueprint("drift", __name__, url_prefix="/pipelines/<name>/drift")


async def _view(name: str) -> DriftView:
    view: DriftView = await current_app.extensions["service"].drift(name, request.args.get("shard"))
    return view


@blueprint.get("")
async def list_drift(name: str) -> Response:
    """Every table; ``?kinds=true`` adds the kind of each drift and null rates."""
    return jsonify((await _view(name)).tables(shows_kinds=flag("kinds")))


@blueprint.get("/<table>")
async def get_drift(name: str, table: str) -> Response:
    """One table."""
    return jsonify((await _view(name)).table(table, shows_kinds=flag("kinds")))
