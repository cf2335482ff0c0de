"""Reading a request body. What takes time is done in a thread: no other request waits for it."""

from __future__ import annotations

from typing import Any

from quart import current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from deltaforge.control.background import Background
from deltaforge.core.errors import BusyError, SpecError
from deltaforge.spec.reading import DocumentText

MERGE_PATCH = "application/merge-patch+json"
JSON_TYPES = ("application/json", MERGE_PATCH)
YAML_TYPES = ("application/yaml", "application/x-yaml")
MAX_VALUES = 100_000
"""Objects, arrays, and what is in them: far more than any document needs."""
MAX_YAML_BYTES = 256 << 10
"""YAML takes a hundred times as long to read as JSON."""


async def json_body() -> Any:
    """The body as JSON values.

    Raises:
        SpecError: Another media type, not JSON, or a value that cannot be stored; says where.
        BusyError: Too many bodies are being read already.
    """
    return await _values(JSON_TYPES)


async def document_body() -> Any:
    """The body of a request that has a document or a part of one, JSON or YAML. Raises as :func:`json_body`.

    Raises:
        RequestEntityTooLarge: It is YAML, and too long for it.
    """
    return await _values((*JSON_TYPES, *YAML_TYPES))


async def located(error: SpecError) -> SpecError:
    """An error of the document that this request came with, with line and column if it is known."""
    text: DocumentText | None = g.get("document_text")
    if text is None:
        return error
    try:
        return await _background().run(text.located, error)
    except BusyError:
        return error


async def wants_take_over() -> bool:
    """Whether the body of a reload is ``{"take_over": true}``; it may be left out.

    Raises:
        SpecError: It is something else.
    """
    if not await request.get_data():
        return False
    body = await json_body()
    if body == {}:
        return False
    if not isinstance(body, dict) or set(body) != {"take_over"} or not isinstance(body["take_over"], bool):
        raise SpecError("expected no body, or an object with the key `take_over`, true or false")
    return bool(body["take_over"])


async def _values(types: tuple[str, ...]) -> Any:
    if request.mimetype not in types:
        raise SpecError(
            f"content type is {request.mimetype or 'missing'}, expected application/json",
            hint=f"send the header Content-Type: {' or '.join(kind for kind in types if kind != MERGE_PATCH)}",
        )
    data: Any = await request.get_data()
    is_yaml = request.mimetype in YAML_TYPES
    if is_yaml and len(data) > MAX_YAML_BYTES:
        raise RequestEntityTooLarge(f"a body in YAML has at most {MAX_YAML_BYTES >> 10} KiB: send JSON")
    text, values = await _background().run(_read, data, is_yaml=is_yaml)
    g.document_text = text
    return values


def _read(data: bytes, *, is_yaml: bool) -> tuple[DocumentText, Any]:
    try:
        text = DocumentText(data.decode("utf-8-sig"), is_yaml, "body", is_remote=True)
    except UnicodeDecodeError as exc:
        raise SpecError(f"body is not UTF-8: byte {exc.start}") from exc
    return text, text.usable_values(MAX_VALUES)


def _background() -> Background:
    background: Background = current_app.extensions["service"].background
    return background
