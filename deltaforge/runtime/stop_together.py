"""Processes of one pipeline end together: the dataflow goes on until every log has ended, wherever it is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deltaforge.runtime.flow_run import PortTakenError
from deltaforge.runtime.peers import AGAIN_SECS, ANSWER_SECS, Peers
from deltaforge.runtime.running import RunningPipeline

LOOK_SECS = 0.5


def _nothing() -> None:
    pass


@contextmanager
def stop_together(
    pipeline: RunningPipeline,
    peers: Peers,
    note: Callable[[], None] = _nothing,
    overdue: Callable[[], None] = _nothing,
) -> Iterator[None]:
    """While it is open: once this process stops or fails, the others stop as well. A dataflow ends when all of its
    logs have ended, wherever they are read.

    Args:
        pipeline: What of it is here.
        peers: The others.
        note: Called before they are told.
        overdue: Called when one of them has not heard of it for as long as a stop may take, and the dataflow goes on.
    """
    ending = pipeline.info.ending
    if not len(peers):
        yield
        return
    is_left = threading.Event()

    def tell() -> None:
        while not ending.is_near.wait(LOOK_SECS):
            if is_left.is_set():
                return
            pipeline.look_at_lanes()
        note()
        until = time.monotonic() + ending.stop_secs
        while not is_left.is_set() and None in peers.ask({"cmd": "stop"}):
            if time.monotonic() > until and (pipeline.sources or pipeline.deliveries):  # else it has not begun
                overdue()
            is_left.wait(AGAIN_SECS)

    teller = threading.Thread(target=tell, name="stop-together", daemon=True)
    teller.start()
    is_end = True
    try:
        yield
    except PortTakenError:
        is_end = False  # it begins again, with other ports
        raise
    finally:
        is_left.set()
        if is_end:
            ending.is_near.set()
            teller.join(ANSWER_SECS)
