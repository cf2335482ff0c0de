"""Places where a fault test can kill the process. ``DELTAFORGE_KILL_POINT=after_read:3``: SIGKILL at the third passing.

Read once, when the module is loaded. Without the variable :data:`reached` is a function that does nothing; no place is
passed more often than a batch or a dead letter.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping

from deltaforge.core.errors import SpecError

VARIABLE = "DELTAFORGE_KILL_POINT"
POINTS = {
    "after_read": "the source has handed a batch to the dataflow",
    "after_encode": "a sink has the bytes of a batch, and has sent nothing of it",
    "mid_produce": "a part of a batch has been handed to the destination or its client",
    "after_dead_letter": "an event is on disk as a dead letter, and nobody else knows",
    "between_ack_and_save": "every sink that the barrier waits for has acked, and the epoch is not saved",
    "between_save_and_confirm": "an epoch is saved, and the database does not know",
    "inside_transaction_before_commit": "a Kafka transaction holds everything, the position too, and is open",
    "after_commit": "a Kafka transaction is committed, and nobody else knows",
    "during_spool_fsync": "what a sink could not take is written to its spool, and not yet durable",
    "after_chunk_read": "rows of a table are copied, and only the thread that read them knows",
    "before_chunk_queued": "a chunk is reconciled with the log, and is about to follow it",
    "after_chunk_queued": "a chunk stands between two transactions of the log, and no sink has it",
    "between_chunk_ack_and_save": "the sinks have acked a chunk, and how far the copy is is not saved",
    "during_stop": "a stop was asked for, and the last batches are under way",
}


def _nothing(_point: str) -> None:
    """Not armed."""


def armed(environment: Mapping[str, str], kill: Callable[[], None]) -> Callable[[str], None]:
    """What the environment wants to happen where a point is passed.

    Args:
        environment: ``DELTAFORGE_KILL_POINT`` is ``<point>:<n>``, ``n`` from 1.
        kill: Ends the process.

    Raises:
        SpecError: There is no such point, or the number is none.
    """
    wanted = environment.get(VARIABLE)
    if not wanted:
        return _nothing
    name, _, number = wanted.partition(":")
    if name not in POINTS or not number.isdecimal() or int(number) < 1:
        raise SpecError(f"{VARIABLE} is {wanted!r}, expected <point>:<n>", hint=f"points are {', '.join(POINTS)}")
    left, lock = int(number), threading.Lock()

    def pass_point(point: str) -> None:
        nonlocal left
        if point != name:
            return
        with lock:  # sinks pass in threads of their own
            left -= 1
            if left == 0:
                kill()

    return pass_point


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


reached = armed(os.environ, _kill_this_process)
"""``reached("after_read")`` where the point is."""
