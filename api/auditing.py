"""The audit log of the REST API: who asked for which change, and what came of it."""

from __future__ import annotations

from typing import Any

from quart import Quart, Response, current_app, g, request

from api.access import route_of
from api.guard import SAFE
from deltaforge.control.audit import AuditLog
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import PipelineNotFoundError

_MAX_PATH = 512


def install_audit(app: Quart, audit: AuditLog) -> None:
    """Note every request that may change something, and every one that was not allowed."""

    async def note_before() -> None:
        if request.method not in SAFE:
            g.document_before = _document(_named())

    async def note_after(response: Response) -> Response:
        is_refused = response.status_code in (401, 403)
        if is_refused:
            audit.refused(_entry(response))
        elif request.method not in SAFE:
            audit.changed({**_entry(response), **_hashes(audit)})
        return response

    app.before_request(note_before)
    app.after_request(note_after)


def _entry(response: Response) -> dict[str, Any]:
    token = g.get("token")
    return {
        "who": token.name if token else None,
        "role": token.role.name.lower() if token else None,
        "client": request.remote_addr,
        "method": request.method[:32],
        "path": request.path[:_MAX_PATH],
        "route": route_of(request.method, request.url_rule) or None,
        "pipeline": _named(),
        "status": response.status_code,
        **({"snapshot": g.snapshot} if "snapshot" in g else {}),
    }


def _hashes(audit: AuditLog) -> dict[str, Any]:
    before, after = g.get("document_before"), _document(_named())
    return {
        "old_document": None if before is None else audit.hash_of(before),
        "new_document": None if after is None else audit.hash_of(after),
    }


def _named() -> str | None:
    """The pipeline of the request: the one in its path, or the one that it made."""
    name = (request.view_args or {}).get("name") or g.get("created")
    return None if name is None else str(name)[:_MAX_PATH]


def _document(name: str | None) -> Any:
    service: PipelineService = current_app.extensions["service"]
    try:
        return None if name is None else service.get(name).raw
    except PipelineNotFoundError:
        return None
