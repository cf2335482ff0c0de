"""``/pipelines``. Contract 01 sections 2.2 and 2.3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from quart import Blueprint, Response, current_app, g, jsonify, request

from api.body import MERGE_PATCH, document_body
from api.query import flag
from api.views import pipe_info
from deltaforge.control.pipeline import Pipeline
from deltaforge.control.service import PipelineService

blueprint = Blueprint("pipelines", __name__, url_prefix="/pipelines")


def _service() -> PipelineService:
    service: PipelineService = current_app.extensions["service"]
    return service


@blueprint.get("")
async def list_pipelines() -> Response:
    """All pipelines, or those with every given label."""
    return jsonify([pipe_info(pipeline) for pipeline in _service().list(request.args.getlist("label"))])


@blueprint.post("")
async def create_pipeline() -> Response:
    """Create from a full document and start."""
    created = await _service().create(await document_body())
    g.created = created.name
    return jsonify(pipe_info(created))


@blueprint.get("/<name>")
async def get_pipeline(name: str) -> Response:
    """One pipeline with its operational status."""
    service = _service()
    return jsonify(pipe_info(service.get(name), await service.ops(name)))


@blueprint.patch("/<name>")
async def patch_pipeline(name: str) -> Response:
    """Merge, validate, restart from the checkpoint. ``application/merge-patch+json`` replaces arrays."""
    service = _service()
    service.get(name)
    replaces_arrays = request.mimetype == MERGE_PATCH
    return jsonify(pipe_info(await service.patch(name, await document_body(), replaces_arrays=replaces_arrays)))


@blueprint.delete("/<name>")
async def delete_pipeline(name: str) -> tuple[str, int, dict[str, str]]:
    """Remove for good, checkpoint included; ``?drop_slot=true`` drops the replication slot, too. One that is left on
    the server stands in the header ``DeltaForge-Slot-Left``.
    """
    left = await _service().delete(name, drops_slot=flag("drop_slot"))
    if not left:
        return "", 204, {}
    sizes = {slot.name: "unknown" if slot.retained_bytes is None else slot.retained_bytes for slot in left}
    said = ", ".join(f"{name}; retained_bytes={size}" for name, size in sizes.items())
    return "", 204, {"DeltaForge-Slot-Left": said}


@blueprint.post("/<name>/pause")
async def pause_pipeline(name: str) -> Response:
    """Consume nothing; the source connection stays. ``?shard=`` for one shard alone, also over restarts."""
    return jsonify(pipe_info(await _moved(name, _service().pause, is_paused=True)))


@blueprint.post("/<name>/resume")
async def resume_pipeline(name: str) -> Response:
    """Go on from paused, stopped or failed; ``?shard=`` for one shard, also one that could not be read any more."""
    return jsonify(pipe_info(await _moved(name, _service().resume, is_paused=False)))


@blueprint.post("/<name>/stop")
async def stop_pipeline(name: str) -> Response:
    """Flush, save the checkpoint, disconnect."""
    return jsonify(pipe_info(await _service().stop(name)))


async def _moved(name: str, move: Callable[[str], Awaitable[Pipeline]], *, is_paused: bool) -> Pipeline:
    shard = request.args.get("shard")
    return await move(name) if shard is None else await _service().shards.switch(name, shard, is_paused=is_paused)
