"""What files need to survive a crash of the machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: files that were made, renamed or removed.

    Raises:
        OSError: It cannot be opened or synced.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file in one step, readable by the owner only. Durable when this returns. Several threads and processes
    may do it at a time: one of them is the last.

    Raises:
        OSError: It cannot be written.
    """
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_native_id()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
