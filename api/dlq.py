"""``/pipelines/{name}/journal/dlq``. Contract 01 section 2.7."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, Response, current_app, jsonify, request

from api.body import json_body
from api.query import number
from deltaforge.control.dead_letters import DeadLetterService
from deltaforge.core.errors import SpecError

MAX_LISTED = 1000
_MAX_SEQ = (1 << 63) - 1
_RETRY_KEYS = {"seqs": list[int], "limit": int, "sink_id": str, "error_kind": str}

blueprint = Blueprint("dlq", __name__, url_prefix="/pipelines/<name>/journal/dlq")


def _letters() -> DeadLetterService:
    letters: DeadLetterService = current_app.extensions["service"].dead_letters
    return letters


@blueprint.get("")
async def list_entries(name: str) -> Response:
    """The oldest entries; ``?limit=`` of those that ``?sink_id=`` and ``?error_kind=`` leave."""
    found = await _letters().entries(
        name,
        limit=min(number("limit", 50, _MAX_SEQ), MAX_LISTED),
        sink_id=request.args.get("sink_id"),
        error_kind=request.args.get("error_kind"),
    )
    return Response(msgspec.json.encode(found), content_type="application/json")


@blueprint.get("/count")
async def count_entries(name: str) -> Response:
    """How many there are."""
    return jsonify({"count": await _letters().count(name)})


@blueprint.post("/ack")
async def ack_entries(name: str) -> Response:
    """Remove everything up to a sequence."""
    body = await json_body()
    up_to_seq = body.get("up_to_seq") if isinstance(body, dict) else None
    if not isinstance(up_to_seq, int) or isinstance(up_to_seq, bool) or not 0 <= up_to_seq <= _MAX_SEQ:
        raise SpecError('expected a body such as {"up_to_seq": 42}', path="up_to_seq")
    return jsonify({"acked": await _letters().ack(name, up_to_seq)})


@blueprint.delete("")
async def purge_entries(name: str) -> Response:
    """Remove everything."""
    return jsonify({"purged": await _letters().purge(name)})


@blueprint.post("/retry")
async def retry_entries(name: str) -> tuple[Response, int]:
    """Deliver entries again. 409, with what became of each, if one of them was truncated."""
    outcome = await _letters().retry(name, _retry_request(await json_body() if await request.get_data() else {}))
    body: dict[str, Any] = {"pipeline": name, **outcome.counts, "entries": outcome.entries}
    if outcome.error is not None:
        return jsonify({"code": "PIPELINE_STATE_CONFLICT", "message": outcome.error, **body}), 409
    return jsonify(body), 200


def _retry_request(body: Any) -> dict[str, Any]:
    """The body of a retry, checked.

    Raises:
        SpecError: It says something else than which entries.
    """
    if not isinstance(body, dict) or not body.keys() <= _RETRY_KEYS.keys():
        raise SpecError(f"expected an object with any of {', '.join(_RETRY_KEYS)}")
    for key, value in body.items():
        try:
            msgspec.convert(value, _RETRY_KEYS[key])
        except msgspec.ValidationError as exc:
            raise SpecError(str(exc), path=key) from exc
    limit, seqs = body.get("limit", 1), body.get("seqs", [])
    if not 1 <= limit <= MAX_LISTED or len(seqs) > MAX_LISTED or not all(0 <= seq <= _MAX_SEQ for seq in seqs):
        raise SpecError(f"expected at most {MAX_LISTED} entries, by sequences of at least 0")
    return body
