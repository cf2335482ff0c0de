"""Runs a pipeline like the launcher, and notes which functions of ours handle a row: ``row_tracer.py OUT [launcher's
options]``.

A row is on its way from the moment at which its bytes have come out of the socket until they are written to the file of
the sink. A function handles it if in that time, in any thread, it has the row among its arguments or variables, or returns
it: as bytes with its text in them, as a batch, or in a form of the kernel.
"""

import json
import os
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path

ROOT = str(Path(__file__).parents[1]) + os.sep
OURS = ROOT + "deltaforge" + os.sep
RECEIVES = {"recv_into", "poll"}
MARK = b"the text of the row"
MOST_SECS = 1.0


def is_row(value):
    """Whether it is the row, or holds it at its beginning."""
    if isinstance(value, bytes | bytearray):
        return MARK in value
    if isinstance(value, list | tuple | deque):
        return bool(value) and is_row(value[0])
    kind = type(value)
    return kind.__name__ == "Batch" or kind.__module__.startswith("deltaforge.kernel")


class Tracer:
    """The functions of each way, as counts over all rows."""

    def __init__(self):
        self.row_count = 0
        self.counts = Counter()
        self.thread_counts = []
        self._events = deque(maxlen=100_000)
        self._lock = threading.Lock()

    def profile(self, frame, kind, argument):
        """What the interpreter calls."""
        is_inner = frame.f_code.co_filename.startswith(OURS)
        if not is_inner:
            frame = frame.f_back
            if kind.startswith("c_") or frame is None or not frame.f_code.co_filename.startswith(OURS):
                return
        called = getattr(argument, "__name__", "") if kind.startswith("c_") else ""
        is_start = kind == "c_return" and called in RECEIVES
        held = [*frame.f_locals.values(), argument if kind == "return" else None]
        if not is_start and not any(map(is_row, held)):
            return
        name = frame.f_code.co_qualname.partition(".<locals>")[0]
        function = f"{frame.f_code.co_filename.removeprefix(ROOT)}:{name}"
        with self._lock:
            if is_start:
                self._events.append((time.monotonic(), None, 0))
            else:
                self._events.append((time.monotonic(), function, threading.get_ident()))
            if kind == "c_call" and called == "write" and "sinks" in function:
                self._end()

    def _end(self):
        events = list(self._events)
        self._events.clear()
        starts = [n for n, (_, function, _) in enumerate(events) if function is None]
        if starts and events[-1][0] - events[starts[-1]][0] < MOST_SECS:
            way = events[starts[-1] + 1 :]
            self.row_count += 1
            self.counts.update({function for _, function, _ in way})
            self.thread_counts.append(len({thread for _, _, thread in way}))

    def found(self):
        """The functions that most rows pass, and the number of threads."""
        usual = sorted(name for name, count in self.counts.items() if count > self.row_count / 2)
        return {"rows": self.row_count, "functions": usual, "threads": max(self.thread_counts, default=0)}


def main():
    tracer, out = Tracer(), Path(sys.argv[1])
    sys.argv[1:2] = []
    from deltaforge.runtime.launcher import main as launch

    threading.setprofile(tracer.profile)
    sys.setprofile(tracer.profile)
    try:
        code = launch()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        out.write_text(json.dumps(tracer.found()))
    return code


if __name__ == "__main__":
    sys.exit(main())
