"""``/pipelines/{name}/sensing``. Contract 01 section 2.5."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify, request

from api.query import flag, number
from deltaforge.control.shapes import SensingView

MAX_DEPTH = 100

blueprint = Blueprint("sensing", __name__, url_prefix="/pipelines/<name>/sensing")


async def _view(name: str) -> SensingView:
    view: SensingView = await current_app.extensions["service"].sensing(name, request.args.get("shard"))
    return view


@blueprint.get("/schemas")
async def list_schemas(name: str) -> Response:
    """Every sensed key."""
    return jsonify((await _view(name)).schemas())


@blueprint.get("/schemas/<table>")
async def get_schema(name: str, table: str) -> Response:
    """One key with its fields; ``?depth=`` for dotted rows, ``?stats=true`` for what was counted per field."""
    view = await _view(name)
    return jsonify(view.schema(table, depth=number("depth", 1, MAX_DEPTH), shows_statistics=flag("stats")))


@blueprint.get("/schemas/<table>/json-schema")
async def get_json_schema(name: str, table: str) -> Response:
    """One key as JSON Schema."""
    return jsonify((await _view(name)).json_schema(table))


@blueprint.get("/schemas/<table>/classifications")
async def get_classifications(name: str, table: str) -> Response:
    """Which object keys are data; ``?examples=true`` shows some."""
    return jsonify((await _view(name)).classifications(table, shows_examples=flag("examples")))


@blueprint.get("/stats")
async def get_stats(name: str) -> Response:
    """Figures of the structure caches."""
    return jsonify((await _view(name)).stats())
