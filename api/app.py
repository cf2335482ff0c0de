"""The Quart application: blueprints, the error map, the bearer token."""

from __future__ import annotations

import hmac
import time

from quart import Quart, Response, current_app, g, request

from api import checkpoints, dlq, drift, health, logs, openapi, pipelines, schemas, sensing, skips, streams
from api.errors import install_error_handlers, unauthorized
from deltaforge.control.metrics import ControlMetrics
from deltaforge.control.service import PipelineService

MAX_BODY_BYTES = 4 << 20


def create_app(service: PipelineService, *, token: str | None = None, metrics: ControlMetrics | None = None) -> Quart:
    """The REST API over a service.

    Args:
        service: Does the work; opened and closed by the caller.
        token: Bearer token that everything but ``/health`` asks for; None: open to everybody.
        metrics: Where requests are counted; None makes one.
    """
    app = Quart("deltaforge-api")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.url_map.strict_slashes = False
    app.extensions["service"] = service
    app.extensions["metrics"] = metrics or ControlMetrics(service)
    for module in (health, pipelines, checkpoints, skips, schemas, sensing, drift, dlq, logs, streams, openapi):
        app.register_blueprint(module.blueprint)
    install_error_handlers(app)
    if token:
        app.before_request(_token_check(token))
    app.before_request(_note_start)
    app.after_request(_count)
    return app


def _token_check(token: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Quart's own callable type is private
    expected = f"Bearer {token}".encode()

    async def check() -> tuple[Response, int] | None:
        given = request.headers.get("Authorization", "").encode()
        if request.path == "/health" or hmac.compare_digest(given, expected):
            return None
        return unauthorized()

    return check


async def _note_start() -> None:
    g.began = time.monotonic()


async def _count(response: Response) -> Response:
    metrics: ControlMetrics = current_app.extensions["metrics"]
    route = request.url_rule.rule if request.url_rule else "unknown"
    seconds = time.monotonic() - getattr(g, "began", time.monotonic())
    metrics.count_request(route, request.method, response.status_code, seconds)
    return response
