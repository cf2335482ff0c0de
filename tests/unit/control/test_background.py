"""Work of requests in threads, bounded."""

import asyncio
import threading

import pytest

from api.app import create_app
from deltaforge.control.background import Background
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import BusyError
from deltaforge.storage.memory import MemoryStorage


def test_what_is_too_much_is_refused_at_once_and_taken_again_later():
    async def main():
        background, gate = Background(threads=1, max_waiting=2), threading.Event()
        waiting = [asyncio.create_task(background.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await background.run(int)
        gate.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await background.run(int, "7") == 7
        background.close()

    asyncio.run(main())


def test_work_that_nobody_waits_for_any_more_still_counts():
    async def main():
        background, gate = Background(threads=1, max_waiting=1), threading.Event()
        task = asyncio.create_task(background.run(gate.wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(BusyError):
            await background.run(int)
        gate.set()
        background.close()

    asyncio.run(main())


def test_a_busy_server_says_so(tmp_path):
    async def main():
        service = PipelineService(MemoryStorage(), ServeOptions(state_dir=tmp_path))
        service.background = Background(max_waiting=0)
        answer = await create_app(service).test_client().post("/validate", json={})
        assert (answer.status_code, (await answer.get_json())["code"]) == (503, "BUSY")

    asyncio.run(main())
