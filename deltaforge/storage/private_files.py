"""Files and folders that are for their owner alone: they hold rows, positions and documents with their secrets."""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER, FILE = 0o700, 0o600
_OTHERS = 0o077
_OURS = re.compile(r"pipelines|serve\.lock|audit.*|.*\.db(?:-wal|-shm|-journal)?")


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it that are missing. One that is there is closed to others.

    Raises:
        OSError: It cannot be made, or what is there is no folder.
    """
    make_folders(folder)
    close_to_others(folder)


def make_folders(folder: Path) -> None:
    """Make what is missing of a path, each folder for its owner alone; what is there stays as it is.

    Raises:
        OSError: One of them cannot be made, or what is there is no folder.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=FOLDER, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(folder))


def close_state_folder(folder: Path) -> None:
    """Close a state folder to others if nothing but ours is in it; else say that they can look into it."""
    found = folder.stat()
    if not found.st_mode & _OTHERS:
        return
    if found.st_uid == os.geteuid() and all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
        folder.chmod(FOLDER)
        return
    log.warning("others may look into the state folder %s: chmod 700, or keep nothing else there", folder)


def close_to_others(path: Path) -> None:
    """Take away what others may do with a file or folder of ours; one of somebody else is only spoken of."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS:
        return
    if found.st_uid != os.geteuid():
        log.warning("%s belongs to user %d, and others may use it", path, found.st_uid)
        return
    path.chmod(FOLDER if stat.S_ISDIR(found.st_mode) else FILE)


def close_tree(folder: Path) -> None:
    """:func:`close_to_others` of everything in a folder: older versions left some of it open."""
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                close_to_others(Path(where) / name)
            except FileNotFoundError:
                continue  # it was removed meanwhile


def socket_folder_fault(folder: Path) -> str | None:
    """Why a folder for sockets must not be used: whoever else can write there can answer in our place. None if it
    may be, or is not there yet.
    """
    try:
        found, above = folder.lstat(), folder.parent.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o022:
        return "others may write there"
    if above.st_mode & 0o002 and not above.st_mode & stat.S_ISVTX:
        return f"everybody may rename it: {folder.parent} has no sticky bit"
    return None
