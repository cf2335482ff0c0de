"""``/pipelines/{name}/snapshots``: tables that are copied while changes go on."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, Response, current_app, g, jsonify

from api.body import json_body
from api.guard import forbidden, may
from deltaforge.control.snapshots import SnapshotService
from deltaforge.control.tokens import Role

blueprint = Blueprint("snapshots", __name__, url_prefix="/pipelines/<name>/snapshots")


def _snapshots() -> SnapshotService:
    snapshots: SnapshotService = current_app.extensions["service"].snapshots
    return snapshots


@blueprint.get("")
async def list_snapshots(name: str) -> Response:
    """All snapshots: those that are not over in their order, then the others, the newest first."""
    return jsonify(await _snapshots().list(name))


@blueprint.post("")
async def request_snapshot(name: str) -> tuple[Response, int]:
    """Copy rows of tables that are there already. `where` is SQL of the source: it needs the role admin, and a server
    that was started with `--allow-code`.
    """
    current_app.extensions["service"].get(name)
    body = await json_body()
    if isinstance(body, dict) and body.get("where") is not None and not may(Role.ADMIN):
        return forbidden(Role.ADMIN, "SQL in `where`")
    return _answer(await _snapshots().request(name, body)), 202


@blueprint.get("/<snapshot>")
async def get_snapshot(name: str, snapshot: str) -> Response:
    """One snapshot and how far each of its tables is."""
    return jsonify(await _snapshots().find(name, snapshot))


@blueprint.post("/<snapshot>/pause")
async def pause_snapshot(name: str, snapshot: str) -> Response:
    """Copy nothing more of it for now; what is behind it goes on."""
    return _answer(await _snapshots().change(name, snapshot, "pause"))


@blueprint.post("/<snapshot>/resume")
async def resume_snapshot(name: str, snapshot: str) -> Response:
    """Go on with the next chunk."""
    return _answer(await _snapshots().change(name, snapshot, "resume"))


@blueprint.delete("/<snapshot>")
async def cancel_snapshot(name: str, snapshot: str) -> Response:
    """Copy nothing more of it for good. What was delivered stays delivered."""
    return _answer(await _snapshots().change(name, snapshot, "cancel"))


def _answer(job: dict[str, Any]) -> Response:
    """A job that was asked for or changed; the audit log names it."""
    g.snapshot = {"id": job["id"], "status": job["status"], "tables": [table["name"] for table in job["tables"]]}
    return jsonify(job)
