"""The Quart applications: blueprints, the error map, what requests have to pass, what is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from quart import Quart, Request, Response, current_app, g, request

from api import (
    checkpoints,
    dlq,
    drift,
    health,
    logs,
    openapi,
    pipelines,
    schemas,
    sensing,
    skips,
    snapshots,
    streams,
)
from api.auditing import install_audit
from api.errors import install_error_handlers
from api.guard import SAFE, Guard
from deltaforge.control.audit import AuditLog
from deltaforge.control.metrics import ControlMetrics
from deltaforge.control.service import PipelineService

MAX_BODY_BYTES = 4 << 20
BODY_SECS = 20
"""How long a client may take to send a body."""
_SETTINGS: Mapping[str, Any] = {
    "MAX_CONTENT_LENGTH": MAX_BODY_BYTES,
    "BODY_TIMEOUT": BODY_SECS,
    "PROVIDE_AUTOMATIC_OPTIONS": False,  # nothing of another site may ask: there is no CORS
}
_MODULES = (health, pipelines, checkpoints, skips, snapshots, schemas, sensing, drift, dlq, logs, streams, openapi)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _App(Quart):
    """An application that carries out what it was told to change although the client hangs up."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.config.update(_SETTINGS)
        self.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self._changes: set[asyncio.Task[Any]] = set()

    async def handle_request(self, request: Request) -> Any:
        """Answer a request."""
        if request.method in SAFE:
            return await super().handle_request(request)
        change = asyncio.create_task(super().handle_request(request))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        return await asyncio.shield(change)


def create_app(
    service: PipelineService,
    *,
    guard: Guard | None = None,
    metrics: ControlMetrics | None = None,
    audit: AuditLog | None = None,
) -> Quart:
    """The REST API over a service.

    Args:
        service: Does the work; opened and closed by the caller.
        guard: Who may ask what; None: everybody who can reach the server may do everything.
        metrics: Where requests are counted; None makes one.
        audit: Where changes and refusals are noted; None: nowhere.
    """
    app = _App("deltaforge-api")
    app.extensions["service"] = service
    app.extensions["metrics"] = metrics or ControlMetrics(service)
    for module in (
        health,
        pipelines,
        checkpoints,
        skips,
        snapshots,
        schemas,
        sensing,
        drift,
        dlq,
        logs,
        streams,
        openapi,
    ):
        app.register_blueprint(module.blueprint)
    _install(app, guard, audit)
    return app


def create_metrics_app(
    service: PipelineService, metrics: ControlMetrics, *, guard: Guard, audit: AuditLog | None = None
) -> Quart:
    """``/metrics`` alone, for an address of its own."""
    app = _App("deltaforge-metrics")
    app.extensions["service"] = service
    app.extensions["metrics"] = metrics
    app.add_url_rule("/metrics", view_func=health.metrics)
    _install(app, guard, audit)
    return app


def _install(app: Quart, guard: Guard | None, audit: AuditLog | None) -> None:
    install_error_handlers(app)
    app.before_request(_note_start)
    app.after_request(_count)
    if audit is not None:
        install_audit(app, audit)
    (guard or Guard()).install(app)


async def _note_start() -> None:
    g.began = time.monotonic()


async def _count(response: Response) -> Response:
    metrics: ControlMetrics = current_app.extensions["metrics"]
    route = request.url_rule.rule if request.url_rule else "unknown"
    method = request.method if request.method in _METHODS else "other"
    metrics.count_request(route, method, response.status_code, time.monotonic() - g.began)
    return response
