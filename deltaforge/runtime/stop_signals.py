"""SIGTERM and SIGINT: the first asks for a stop, the second ends the process at once.

A thread of its own reads them. Python runs handlers on the main thread alone, which may be inside Bytewax for long.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltaforge.core.errors import SinkError
from deltaforge.runtime.ending import Ending
from deltaforge.runtime.outcome import Outcome

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_BY_SIGNAL = 128
"""Added to the number of the signal, as shells do."""


@contextmanager
def stop_on_signals(ending: Ending, outcome: Path) -> Iterator[None]:
    """React to signals while it is open. For the main thread.

    Args:
        ending: Of the run.
        outcome: The file that says how it ended.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(ending, outcome, receiver), name="signals", daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        sender.close()
        watcher.join()
        receiver.close()


def _watch(ending: Ending, outcome: Path, receiver: socket.socket) -> None:
    is_second = False
    while data := receiver.recv(1):
        number = data[0]
        if number not in SIGNALS:
            continue
        if is_second:
            _end_now(outcome, number)
        is_second = True
        how = "press Ctrl-C again" if number == signal.SIGINT else "signal it again"
        log.warning("stopping: up to %g s; %s to end now", ending.stop_secs, how)
        ending.stop()


def _end_now(outcome: Path, number: int) -> None:
    """End like a crash does, which loses nothing: what is not saved comes again."""
    log.warning("ended at once: the next start delivers from the last saved position")
    Outcome.of(SinkError("ended at once by a second signal", kind="cancelled")).write(outcome)
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\n")  # behind the progress line
    os._exit(EXIT_BY_SIGNAL + number)
