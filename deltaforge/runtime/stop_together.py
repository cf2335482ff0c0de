"""Processes of one pipeline end together: the dataflow goes on until every log has ended, wherever it is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deltaforge.runtime.peers import AGAIN_SECS, ANSWER_SECS, Peers
from deltaforge.runtime.running import RunningPipeline

LOOK_SECS = 0.5


@contextmanager
def stop_together(pipeline: RunningPipeline, peers: Peers, note: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While it is open: once this process stops or fails, the others stop as well. A dataflow ends when all of its
    logs have ended, wherever they are read.

    Args:
        pipeline: What of it is here.
        peers: The others.
        note: Called before they are told.
    """
    ending = pipeline.info.ending
    if not len(peers):
        yield
        return
    is_left = threading.Event()

    def tell() -> None:
        while not ending.is_near.wait(LOOK_SECS):
            pipeline.look_at_lanes()
        note()
        while not is_left.is_set() and None in peers.ask({"cmd": "stop"}):
            is_left.wait(AGAIN_SECS)

    teller = threading.Thread(target=tell, name="stop-together", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_left.set()
        ending.is_near.set()
        teller.join(ANSWER_SECS)
