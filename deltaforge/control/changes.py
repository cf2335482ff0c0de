"""One change at a time for each pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from deltaforge.core.errors import ControlError

T = TypeVar("T")

WAIT_SECS = 60.0
MAX_WAITING = 64


class NameLocks:
    """A lock for each name that somebody holds or waits for; of other names nothing is kept.

    Args:
        wait_secs: How long a change waits for those before it.
        max_waiting: How many may wait for one name.
    """

    def __init__(self, wait_secs: float = WAIT_SECS, max_waiting: int = MAX_WAITING) -> None:
        self._wait_secs = wait_secs
        self._max_waiting = max_waiting
        self._locks: dict[str, asyncio.Lock] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name.

        Raises:
            ControlError: Kind ``busy``: others did not finish in time, or too many wait already.
        """
        if self._counts.get(name, 0) > self._max_waiting:
            raise _busy(name)
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._counts[name] = self._counts.get(name, 0) + 1
        try:
            try:
                async with asyncio.timeout(self._wait_secs):
                    await lock.acquire()
            except TimeoutError:
                raise _busy(name) from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name], self._locks[name]


class Changes:
    """Changes of pipelines: for each name one after the other, each to its end, also if who asked for it is gone."""

    def __init__(self) -> None:
        self._locks = NameLocks()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_closed = False

    async def alone(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Change one pipeline.

        Raises:
            ControlError: Kind ``busy``: those before take too long, or the control plane is ending.
        """

        async def run() -> T:
            async with self._locks.held(name):
                if self.is_closed:
                    raise ControlError("the control plane is ending", kind="busy", hint="ask the next one")
                return await action()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Begin no more, and wait for those that have begun."""
        self.is_closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _busy(name: str) -> ControlError:
    return ControlError(
        f"pipeline {name} is still busy with what was asked before", kind="busy", hint="try again in a moment"
    )
