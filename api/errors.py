"""The only map from errors to status and body. Contract 01 section 1.1."""

from __future__ import annotations

import logging

from quart import Quart, Response, current_app, jsonify
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from api.body import located
from deltaforge.core.errors import (
    BusyError,
    ControlError,
    DeltaForgeError,
    NotFoundError,
    PipelineAlreadyExistsError,
    PipelineNameMismatchError,
    PipelineNotFoundError,
    SpecError,
)

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[DeltaForgeError], int, str], ...] = (
    (PipelineNotFoundError, 404, "PIPELINE_NOT_FOUND"),
    (NotFoundError, 404, "PIPELINE_NOT_FOUND"),
    (PipelineAlreadyExistsError, 409, "PIPELINE_ALREADY_EXISTS"),
    (PipelineNameMismatchError, 400, "PIPELINE_NAME_MISMATCH"),
    (SpecError, 400, "PIPELINE_NAME_MISMATCH"),
    (BusyError, 503, "BUSY"),
    (ControlError, 409, "PIPELINE_STATE_CONFLICT"),
)
HTTP_CODES = {
    400: "PIPELINE_NAME_MISMATCH",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "BODY_TOO_LARGE",
    414: "TARGET_TOO_LONG",
    415: "PIPELINE_NAME_MISMATCH",
    431: "HEADERS_TOO_LARGE",
    501: "NOT_IMPLEMENTED",
    503: "TOO_MANY_CONNECTIONS",
    505: "HTTP_VERSION_NOT_SUPPORTED",
}
"""Codes of errors that HTTP has a status for."""


def error_body(status: int, code: str, message: str) -> tuple[Response, int]:
    """The error shape of the contract."""
    return jsonify({"code": code, "message": message}), status


def unauthorized() -> tuple[Response, int]:
    """No bearer token, or not the right one."""
    answer = error_body(401, "UNAUTHORIZED", "a bearer token is needed: send the header Authorization: Bearer <token>")
    answer[0].headers["WWW-Authenticate"] = 'Bearer realm="deltaforge"'
    return answer


def install_error_handlers(app: Quart) -> None:
    """Every error of a handler becomes JSON; what nobody expected is logged and says nothing of itself."""

    @app.errorhandler(DeltaForgeError)
    async def ours(error: DeltaForgeError) -> tuple[Response, int]:
        if isinstance(error, SpecError):
            error = await located(error)
        for kind, status, code in _STATUS:
            if isinstance(error, kind):
                return error_body(status, code, str(error))
        log.error("request failed: %s", error)
        return error_body(500, "INTERNAL_ERROR", str(error))

    @app.errorhandler(HTTPException)
    async def http(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        answer = error_body(400 if status == 415 else status, HTTP_CODES.get(status, "INTERNAL_ERROR"), _text(error))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer[0].headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return answer

    @app.errorhandler(Exception)
    async def unexpected(error: Exception) -> tuple[Response, int]:
        log.error("request failed unexpectedly", exc_info=error)
        current_app.extensions["service"].crash_count += 1
        return error_body(500, "INTERNAL_ERROR", "the server failed; its log says why")


def _text(error: HTTPException) -> str:
    return str(error.description or error.name)
