"""Names of threads where operators look for them: ``top -H``, ``ps -L``, ``perf``."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

MAX_NAME_BYTES = 15  # TASK_COMM_LEN of Linux, without the terminating zero


def show_thread_name() -> None:
    """Give the calling thread its Python name in the lists of the system. Does nothing where that is not Linux."""
    thread = threading.current_thread()
    name = thread.name.encode()[:MAX_NAME_BYTES]
    with suppress(OSError):  # no /proc: another system, or a container without it
        Path(f"/proc/self/task/{thread.native_id}/comm").write_bytes(name)
