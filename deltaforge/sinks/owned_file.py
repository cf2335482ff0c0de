"""Files that a sink may append to and cut: those that it made.

Beside each such file stands a marker, ``.<name>.deltaforge``, which says which sink of which pipeline made it. It is on
the disk before the first byte of the file is. A file with content and without a marker is somebody else's. A marker
belongs to the name: when the file is renamed away, the next one of that name has it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from deltaforge.core.errors import SinkError

SUFFIX = ".deltaforge"
_MAX_MARKER_BYTES = 65536
_MODE = 0o640  # rows are not for everybody
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Owner(msgspec.Struct, frozen=True):
    """Who makes a file."""

    pipeline: str
    sink: str


class OwnedFile:
    """One file and its folder, opened. The caller closes both with :meth:`close`.

    Args:
        path: Of the file.
        confines: The folder that it has to be in, no symbolic link on the way; None: anywhere. A relative path is
            relative to it.

    Raises:
        OSError: The file or its folder cannot be opened.
        SinkError: The path leads out of the folder.
    """

    def __init__(self, path: Path, confines: Path | None) -> None:
        self._path = path
        self._folder = _folder_of(path, confines)
        self.fd = -1
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (0 if confines is None else os.O_NOFOLLOW)
            try:
                self.fd = os.open(path.name, flags | os.O_CREAT | os.O_EXCL, _MODE, dir_fd=self._folder)
                self._is_new = True
            except FileExistsError:
                self.fd = os.open(path.name, flags, dir_fd=self._folder)
                self._is_new = False
        except BaseException:
            self.close()
            raise

    def claim(self, owner: Owner, *, adopts: bool) -> None:
        """Make sure that the file is ours, and durably marked as such. The caller has locked it.

        Args:
            owner: Who is about to write.
            adopts: Whether a file without a marker is ours: an earlier version made none.

        Raises:
            OSError: The marker cannot be read or written.
            SinkError: It is somebody else's file.
        """
        marker = self.check(owner, adopts=adopts)
        if marker != owner:
            self._mark(owner)
        if self._is_new or marker != owner:
            os.fsync(self._folder)

    def check(self, owner: Owner, *, adopts: bool) -> Owner | None:
        """Make sure that the file may be ours; who made it, as far as a marker says. Changes nothing.

        Raises:
            OSError: The marker cannot be read.
            SinkError: It is somebody else's file.
        """
        marker = self._marker()
        is_free = marker in (owner, _ANYBODYS) or (marker is None and adopts) or not os.fstat(self.fd).st_size
        if not is_free:
            raise SinkError(f"cannot open {self._path}: {_whose(marker)}", hint=self._remedy())
        return marker

    def close(self) -> None:
        """Close what is open. Raises OSError as ``os.close`` does."""
        for fd in (self.fd, self._folder):
            if fd >= 0:
                os.close(fd)
        self.fd = self._folder = -1

    def _remedy(self) -> str:
        marker = self._path.with_name(self._marker_name)
        return f"choose another path; or, if this sink may append to it and cut its end, make {marker} an empty file"

    @property
    def _marker_name(self) -> str:
        return f".{self._path.name}{SUFFIX}"

    def _marker(self) -> Owner | None:
        """Who made the file; None if nobody says so, :data:`_ANYBODYS` of an empty marker."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self._marker_name, flags, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            data = file.read(_MAX_MARKER_BYTES)
        if not data.strip():
            return _ANYBODYS
        try:
            return msgspec.json.decode(data, type=Owner)
        except msgspec.MsgspecError:
            return _UNREADABLE

    def _mark(self, owner: Owner) -> None:
        partial = f"{self._marker_name}.partial"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(partial, flags, 0o600, dir_fd=self._folder), "wb") as file:
            file.write(msgspec.json.encode(owner))
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, self._marker_name, src_dir_fd=self._folder, dst_dir_fd=self._folder)


_ANYBODYS = Owner("", "")
"""Of an empty marker: the operator says that whoever opens the file next may have it."""
_UNREADABLE = Owner("?", "?")


def _whose(marker: Owner | None) -> str:
    if marker is None:
        return "it holds something that this sink did not write"
    if marker == _UNREADABLE:
        return "its marker cannot be read"
    return f"it belongs to sink {marker.sink} of pipeline {marker.pipeline}"


def _folder_of(path: Path, confines: Path | None) -> int:
    """The folder of a file, opened; with ``confines`` step by step from there."""
    if confines is None:
        return os.open(path.parent, _FOLDER)
    confines.mkdir(mode=0o700, parents=True, exist_ok=True)
    steps = _steps(path, confines)
    fd = os.open(confines, _FOLDER)
    for step in steps[:-1]:
        try:
            inner = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _steps(path: Path, confines: Path) -> tuple[str, ...]:
    """The names that lead from a folder to a file inside it."""
    for folder in (confines, Path(os.path.realpath(confines))):
        if path.is_relative_to(folder):
            path = path.relative_to(folder)
            break
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise SinkError(f"cannot open {path}: it is not below {confines}", hint="see --output-dir")
    return path.parts
