import asyncio

import pytest

from deltaforge.control.changes import Changes, NameLocks
from deltaforge.control.restarts import STABLE_SECS, Restarts
from deltaforge.core.errors import ControlError


async def _hold(locks, name, until):
    async with locks.held(name):
        await until.wait()


def test_of_names_that_nobody_holds_nothing_is_kept():
    async def run():
        locks, changes = NameLocks(), Changes()
        for number in range(1000):
            async with locks.held(f"hostile-{number}"):
                assert len(locks) == 1

        async def fails():
            raise ValueError

        with pytest.raises(ValueError):
            await changes.alone("p", fails)
        assert len(locks) == len(changes._locks) == len(changes._tasks) == 0

    asyncio.run(run())


def test_a_change_waits_for_so_long_and_no_longer():
    async def run():
        locks, until = NameLocks(wait_secs=0.01, max_waiting=1), asyncio.Event()
        holder = asyncio.create_task(_hold(locks, "p", until))
        await asyncio.sleep(0)
        with pytest.raises(ControlError) as caught:
            await _hold(locks, "p", until)
        assert caught.value.kind == "busy"
        async with locks.held("q"):
            assert len(locks) == 2
        until.set()
        await holder
        async with locks.held("p"):
            pass
        assert len(locks) == 0

    asyncio.run(run())


def test_a_change_is_finished_when_its_request_is_cancelled_and_none_begins_after_the_end():
    async def run():
        changes, began, until, done = Changes(), asyncio.Event(), asyncio.Event(), []

        async def change():
            began.set()
            await until.wait()
            done.append(1)

        request = asyncio.create_task(changes.alone("p", change))
        await began.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert request.cancelled()
        until.set()
        await changes.close()
        assert done == [1]
        with pytest.raises(ControlError):
            await changes.alone("p", change)

    asyncio.run(run())


def test_ends_are_a_loop_when_there_are_enough_of_them_in_the_window():
    restarts = Restarts(3, 300.0)
    assert not any(restarts.is_loop("connect", 0.0) for _ in range(100))
    assert [restarts.is_loop("crashed", 0.0) for _ in range(3)] == [False, False, True]
    short = Restarts(2, 0.0)
    assert not any(short.is_loop("crashed", 0.0) for _ in range(3))


def test_a_process_that_lived_for_long_is_restarted_soon():
    restarts = Restarts(100, 300.0)
    delays = [restarts.next_delay() for _ in range(4)]
    assert delays[3] > 4 * delays[0]
    restarts.is_loop("crashed", STABLE_SECS + 1)
    assert restarts.next_delay() < 2
