"""Reading a JSON request body."""

from __future__ import annotations

import json
from typing import Any

from quart import request

from deltaforge.core.errors import SpecError

MERGE_PATCH = "application/merge-patch+json"


async def json_body() -> Any:
    """The body as JSON values.

    Raises:
        SpecError: Another media type, or not JSON; says where.
    """
    if request.mimetype not in ("application/json", MERGE_PATCH):
        raise SpecError(
            f"content type is {request.mimetype or 'missing'}, expected application/json",
            hint="send the header Content-Type: application/json",
        )
    try:
        return json.loads(await request.get_data())
    except (ValueError, RecursionError) as exc:
        raise SpecError(f"body is not JSON: {exc}") from exc


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
