"""``/pipelines/{name}/schemas``. Contract 01 section 2.4."""

from __future__ import annotations

from quart import Blueprint, Response, current_app, jsonify, request

from api.body import wants_take_over
from deltaforge.control.schemas import SourceSchemas

blueprint = Blueprint("schemas", __name__, url_prefix="/pipelines/<name>/schemas")


def _schemas() -> SourceSchemas:
    schemas: SourceSchemas = current_app.extensions["service"].schemas
    return schemas


def _shard() -> str | None:
    """Which shard of the source is meant; None: all of them, or the only log."""
    return request.args.get("shard")


@blueprint.get("")
async def list_schemas(name: str) -> Response:
    """The tables of which something is registered."""
    return jsonify(await _schemas().tables(name, _shard()))


@blueprint.post("/reload")
async def reload_schemas(name: str) -> Response:
    """Read all definitions from the source's catalog again."""
    return jsonify(await _schemas().reload(name))


@blueprint.get("/<database>/<table>")
async def get_schema(name: str, database: str, table: str) -> Response:
    """The columns of one table."""
    return jsonify(await _schemas().detail(name, database, table, _shard()))


@blueprint.post("/<database>/<table>/reload")
async def reload_schema(name: str, database: str, table: str) -> Response:
    """Read one definition from the source's catalog again; with ``take_over`` the next start does, for rows whose
    definition the log does not say.
    """
    if await wants_take_over():
        return jsonify(await _schemas().take_over(name, database, table, _shard()))
    return jsonify(await _schemas().reload_table(name, database, table))


@blueprint.get("/<database>/<table>/versions")
async def list_versions(name: str, database: str, table: str) -> Response:
    """Every version of one table."""
    return jsonify(await _schemas().versions(name, database, table, _shard()))
