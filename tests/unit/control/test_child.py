"""Talking to the process of a pipeline."""

import asyncio
import json

import pytest

from deltaforge.control import child
from deltaforge.core.errors import ControlError
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.storage.file_lock import FileLock


@pytest.fixture
def paths(tmp_path):
    paths = PipelinePaths(tmp_path, "p")
    paths.create()
    return paths


async def answer(reader, writer):
    asked = json.loads(await reader.readline())
    writer.write(json.dumps({"ok": True, "asked": asked}).encode() + b"\n")
    await writer.drain()
    writer.close()


def test_a_process_that_lives_and_does_not_listen_yet_is_waited_for(paths):
    async def main():
        lock = FileLock(paths.lock)
        assert lock.take()
        asking = asyncio.create_task(child.ask(paths, "status", is_awaited=True))
        await asyncio.sleep(2 * child.POLL_SECS)
        assert not asking.done()
        with pytest.raises(ControlError, match="does not answer: FileNotFoundError"):
            await child.ask(paths, "status")
        paths.socket.parent.mkdir(mode=0o700, exist_ok=True)
        async with await asyncio.start_unix_server(answer, str(paths.socket)):
            assert (await asking)["asked"] == {"cmd": "status"}
        lock.close()

    asyncio.run(main())


def test_nobody_waits_for_a_process_that_is_not_there(paths):
    with pytest.raises(ControlError, match="does not answer: FileNotFoundError"):
        asyncio.run(asyncio.wait_for(child.ask(paths, "status", answer_secs=60, is_awaited=True), 5))


def test_a_process_that_never_listens_is_waited_for_no_longer_than_was_said(paths):
    lock = FileLock(paths.lock)
    assert lock.take()
    with pytest.raises(ControlError, match="does not answer: TimeoutError"):
        asyncio.run(child.ask(paths, "status", answer_secs=0.2, is_awaited=True))
    lock.close()
