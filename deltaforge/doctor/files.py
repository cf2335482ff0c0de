"""A ``file`` sink: its folder, the file, room on the disk."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from deltaforge.doctor.disk import note_room
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.sinks.base import file_of_lane
from deltaforge.sinks.file import FileSinkConfig
from deltaforge.sinks.owned_file import OwnedFile, Owner

CHECKS = {
    "file.folder": Check(
        "the folder is there and may be written", "`mkdir -p …`, `chown` or `chmod` for the user of the pipeline"
    ),
    "file.path": Check(
        "the path is a regular file that may be written, or nothing yet", "give the sink another `path`"
    ),
    "file.owner": Check(
        "a file that is there was made by this sink", "give the sink another `path`, or say that it may have this one"
    ),
    "file.reader": Check("no other sink has the file open", "stop the other pipeline, or give the sink another `path`"),
    "file.room": Check("there is room on the disk", "free space, or give the sink a `path` on another disk"),
}


def where(config: FileSinkConfig) -> str:
    """The path."""
    return str(config.path)


def examine(subject: Subject, config: FileSinkConfig, notes: Notes) -> None:
    """Look at the file system."""
    folder = config.path.parent
    if not folder.is_dir():
        notes.error("file.folder", f"{folder} is {'not a folder' if folder.exists() else 'not there'}")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        notes.error("file.folder", f"{folder} may not be written by user {os.getuid()}")
    else:
        notes.ok("file.folder", f"{folder} is there and may be written")
    paths = [file_of_lane(config.path, lane.name) for lane in subject.spec.lanes()]
    usable = [_may_be_used(subject, config, path, notes) for path in paths]
    if all(usable):
        there = sum(path.exists() for path in paths)
        if len(paths) == 1:
            notes.ok("file.path", f"{paths[0]} is {'there' if there else 'made at the start'}")
        else:
            notes.ok("file.path", f"{len(paths)} files, one for each lane, {there} of them there: {paths[0]}, …")
    note_room(notes, "file.room", folder)


def _may_be_used(subject: Subject, config: FileSinkConfig, path: Path, notes: Notes) -> bool:
    if not path.exists():
        return True
    if not path.is_file():
        kind = "folder" if path.is_dir() else "device, pipe or socket"
        notes.error("file.path", f"{path} is a {kind}, not a regular file")
    elif not os.access(path, os.R_OK | os.W_OK):
        notes.error("file.path", f"{path} may not be read and written by user {os.getuid()}")
    elif not subject.is_running and _is_locked(path):
        notes.error("file.reader", f"{path} is open in another sink")
    else:
        return _is_owned(subject, config, path, notes)
    return False


def _is_owned(subject: Subject, config: FileSinkConfig, path: Path, notes: Notes) -> bool:
    """Whether the sink made the file: it cuts the end of no other."""
    with notes.of("file.owner"):
        file = OwnedFile(path, None)
        try:
            is_old = subject.position is not None  # the pipeline may be of an earlier version, which left no marker
            file.check(Owner(subject.spec.metadata.name, config.id), adopts=is_old)
        finally:
            file.close()
        return True
    return False


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
