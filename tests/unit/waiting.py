"""Waiting for a condition with a deadline."""

import time


def wait_until(condition, timeout_secs=60.0):
    deadline = time.monotonic() + timeout_secs
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(0.005)
