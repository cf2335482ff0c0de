"""One thread of another process, stopped for a while: what a scheduler under load does to it, at a chosen moment."""

import ctypes
import os
from contextlib import contextmanager
from pathlib import Path

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of ptrace(2)
WALL = 0x40000000  # threads are waited for like processes
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread_id):
    if _libc.ptrace(request, thread_id, None, None) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def held_thread(pid, name):
    """The one thread of that name does nothing. ``pid`` is a child of this process."""
    tasks = Path(f"/proc/{pid}/task")
    (thread_id,) = (int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name)
    _ptrace(SEIZE, thread_id)
    _ptrace(INTERRUPT, thread_id)
    os.waitpid(thread_id, WALL)
    try:
        yield
    finally:
        _ptrace(DETACH, thread_id)
