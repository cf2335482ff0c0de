"""What a deleted pipeline leaves behind, and its removal."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from deltaforge.checkpoint.durable import sync_folder
from deltaforge.control.pipeline import Pipeline
from deltaforge.core.errors import ControlError, DeltaForgeError, StorageError
from deltaforge.sources.base import LeftSlot, SourceSpec

T = TypeVar("T")

log = logging.getLogger(__name__)

LOOK_SECS = 3.0
"""How long a deletion waits for the server to say what the slot holds back."""
DROP_SECS = 10.0
"""How long the slot may be in use after the process has ended."""


async def left_slots(pipeline: Pipeline) -> list[LeftSlot]:
    """The replication slots that are left on the servers, for the log and the answer. Bounded; never raises."""
    if pipeline.fault:
        return []
    shards = pipeline.parsed.spec.shards()
    found = await asyncio.gather(*(_left_slot(pipeline, shard) for shard in shards))
    return [left for left in found if left is not None]


async def _left_slot(pipeline: Pipeline, shard: str) -> LeftSlot | None:
    slot = getattr(pipeline.parsed.spec.of_shard(shard).spec.source.config, "slot", None)
    try:
        source = pipeline.used()[0].of_shard(shard).spec.source
        left = await _answer(source.left_slot, LOOK_SECS)
    except (DeltaForgeError, TimeoutError) as error:
        log.warning("what pipeline %s leaves on its server is not known: %s", pipeline.name, error or "no answer")
        return LeftSlot(slot, None) if slot else None
    if left is not None:
        log.warning(
            "pipeline %s leaves replication slot %s, which holds back %s bytes of WAL, and more from now on; drop it"
            " with select pg_drop_replication_slot('%s')",
            *(pipeline.name, left.name, left.retained_bytes, left.name),
        )
    return left


async def drop_slots(pipeline: Pipeline) -> None:
    """Drop the replication slots of a pipeline that was stopped; nothing where a source has none.

    Raises:
        ControlError: Kind ``slot_left``: one is there still.
    """
    try:
        document = pipeline.used()[0]
        for shard in document.shards():
            await _drop_slot(document.of_shard(shard).spec.source)
    except (DeltaForgeError, TimeoutError) as error:
        raise ControlError(
            f"pipeline {pipeline.name} is stopped and not deleted, as its replication slot is left: "
            f"{error or 'the server does not answer'}",
            kind="slot_left",
            hint="try again, or delete it without drop_slot and drop the slot by hand",
        ) from error


async def _drop_slot(source: SourceSpec) -> None:
    await _answer(lambda: source.drop_slot(DROP_SECS), LOOK_SECS + DROP_SECS)


async def _answer(ask: Callable[[], T], timeout_secs: float) -> T:
    """What a server answers, asked in a thread of its own: one that does not answer holds nothing else up.

    Raises:
        TimeoutError: It did not in time.
        DeltaForgeError: It refused.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # None only with an error

    def run() -> None:
        result, error = None, None
        try:
            result = ask()
        except Exception as exc:  # noqa: BLE001 - raised where the answer is waited for
            error = exc
        with suppress(RuntimeError):  # the loop ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="server-remains", daemon=True).start()
    async with asyncio.timeout(timeout_secs):
        return await answer


def remove_files(pipeline: Pipeline) -> None:
    """The folder of a pipeline, with its positions. Gone for good when this returns: another one may get its name.

    Raises:
        StorageError: Something of it is left.
    """
    paths = pipeline.supervisor.paths
    try:
        paths.socket.unlink(missing_ok=True)
        if paths.root.exists():
            shutil.rmtree(paths.root)
            sync_folder(paths.root.parent)
    except OSError as exc:
        raise StorageError(f"the files of pipeline {pipeline.name} cannot be removed: {exc}") from exc
