"""``/pipelines/{name}/events`` and ``/pipelines/{name}/logs``: ours, beside the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from quart import Blueprint, Response, current_app, request

from api.query import flag, number
from deltaforge.control.streams import PipelineStreams

MAX_LINES = 10_000
MAX_SECS = 3600
NDJSON = "application/x-ndjson"

blueprint = Blueprint("streams", __name__, url_prefix="/pipelines/<name>")


def _streams() -> PipelineStreams:
    streams: PipelineStreams = current_app.extensions["service"].streams
    return streams


@blueprint.get("/events")
async def follow_events(name: str) -> Response:
    """The events that pass, without consuming them, until ``?limit=``, ``?seconds=`` or the pipeline's end."""
    wanted = {"seconds": number("seconds", 60, MAX_SECS), "table": request.args.get("table", "")}
    if "limit" in request.args:
        wanted["limit"] = number("limit", 1, (1 << 63) - 1)
    return _stream(await _streams().events(name, wanted))


@blueprint.get("/logs")
async def read_log(name: str) -> Response:
    """The last ``?lines=`` of the pipeline's log; with ``?follow=true`` also what is added for ``?seconds=``."""
    count, seconds = number("lines", 100, MAX_LINES), number("seconds", 60, MAX_SECS)
    return _stream(_streams().log_lines(name, count, seconds if flag("follow") else 0))


def _stream(lines: AsyncGenerator[bytes, None]) -> Response:
    response = Response(lines, content_type=NDJSON)
    response.timeout = None  # it ends by itself
    return response
