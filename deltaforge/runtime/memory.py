"""What becomes of memory that is free again."""

from __future__ import annotations

import ctypes

KEPT_BYTES = 32 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Have each thread keep what it has freed, up to :data:`KEPT_BYTES`, for what it needs next. To be called before
    the threads begin.

    A thread that encodes copies of tables frees megabytes many times a second. glibc gives them back at once, and the
    system fills each page with zeros again when it is needed next: a third of the CPU time of such a copy.

    Returns:
        Whether the C library can be told; others than glibc cannot.
    """
    try:
        change = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(change(name, KEPT_BYTES) for name in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
