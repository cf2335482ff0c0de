"""A lock on a file: held by one process of this machine, and given up by the kernel when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import BinaryIO

from deltaforge.core.errors import StorageError
from deltaforge.storage.private_files import FILE, make_folders

_TRIES, _TRY_SECS = 4, 0.05
"""Somebody who only looks whether the lock is held holds it for a moment."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FileLock:
    """The lock on ``path``, which is made when missing and holds the id of the process.

    Args:
        path: Of the file.
        descriptor: Of the file, opened already; it is closed with this.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path = path.resolve()
        if descriptor is not None:
            self._file: BinaryIO = os.fdopen(descriptor, "r+b")
            return
        try:
            make_folders(path.parent)
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, FILE), "r+b")
        except OSError as exc:
            raise StorageError(f"lock file {path} cannot be opened: {exc}") from exc

    @property
    def identity(self) -> str:
        """Names the file among all files of all machines, for as long as this one runs."""
        found = os.fstat(self._file.fileno())
        return f"{socket.gethostname()}|{_boot_id()}|{found.st_dev}|{found.st_ino}"

    @classmethod
    def inherited(cls, path: Path, descriptor: int) -> FileLock:
        """The lock that the process which made us took for us. It is held to the very end of this process, closed or
        not.
        """
        os.set_inheritable(descriptor, False)
        return cls(path, os.dup(descriptor))

    @property
    def descriptor(self) -> int:
        """Of the open file: a process that inherits it holds the lock, too."""
        return self._file.fileno()

    def take(self, *, is_ours: bool = True) -> bool:
        """Whether the lock is held now; False while another process holds it.

        Args:
            is_ours: Note our process as the holder. Else it is for a process that is not made yet: :meth:`note` it.
        """
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_TRY_SECS)
        else:
            return False
        self.note(os.getpid() if is_ours else None)
        return True

    def note(self, pid: int | None) -> None:
        """Write down whose the lock is; None: nobody's yet."""
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(b"" if pid is None else str(pid).encode())
        self._file.flush()

    def holder(self) -> str:
        """The id of the process that holds the lock, as it wrote it."""
        self._file.seek(0)
        return self._file.read(20).decode(errors="replace") or "unknown"

    def close(self) -> None:
        """Give the lock up."""
        self._file.close()


def holder_of(path: Path) -> str | None:
    """The id of the process that holds the lock on a file, as it wrote it; None if nobody does. Makes no file."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(20).decode(errors="replace") or "unknown"
    except OSError:
        return None
    return None


def is_free(path: str, identity: str) -> bool:
    """Whether the lock file of that identity is on this machine and no process holds it. False if nobody can know."""
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
            if identity != f"{socket.gethostname()}|{_boot_id()}|{found.st_dev}|{found.st_ino}":
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or not there
        return False
    return True


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
