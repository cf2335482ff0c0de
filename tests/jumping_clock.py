"""The launcher under a wall clock that jumps a day forth and back each second; the monotonic clock is left alone.

Only Python's ``time.time`` can be moved for one process: Rust, C and ``datetime.now`` ask the system, which has one clock.
"""

import runpy
import time

DAY_SECS = 86_400
JUMPS = (0, DAY_SECS, -DAY_SECS)


def jumping(clock, monotonic):
    """``clock``, moved by another of the jumps in each second of ``monotonic``."""
    return lambda: clock() + JUMPS[int(monotonic()) % len(JUMPS)]


if __name__ == "__main__":
    time.time = jumping(time.time, time.monotonic)
    runpy.run_module("deltaforge.runtime.launcher", run_name="__main__")
