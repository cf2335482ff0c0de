"""Work of requests that takes time: in threads, so that no other request waits for it, and never too much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from deltaforge.core.errors import BusyError

THREADS = 2
MAX_WAITING = 32
"""Pieces of work that may be under way or wait; each may hold a document of a few megabytes."""

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """A few threads and a bounded number of pieces of work for them. Used from one event loop."""

    def __init__(self, *, threads: int = THREADS, max_waiting: int = MAX_WAITING) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._max_waiting = max_waiting
        self._waiting: set[Future[object]] = set()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a piece of work; it goes on to its end also when the caller is cancelled.

        Raises:
            BusyError: Too much is waiting already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise BusyError("the server is busy with other documents", hint="try again in a moment")
        future = self._threads.submit(work, *args, **kwargs)
        self._waiting.add(future)  # type: ignore[arg-type]  # a Future is invariant
        future.add_done_callback(self._waiting.discard)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more work, and drop what has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)
