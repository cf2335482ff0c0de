"""What the pipeline needs of this machine: its variables, the state folder, no other process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from deltaforge.config.unset import unset_in
from deltaforge.doctor.disk import NONE_BYTES, nearest, note_room
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.runtime.barrier import is_waited_for
from deltaforge.runtime.ownership import control_plane_pid, is_of_control_plane
from deltaforge.storage.file_lock import holder_of

CHECKS = {
    "document.variable": Check(
        "every environment variable of the document is set", "set it, or write `${NAME:-default}`"
    ),
    "document.key": Check("every key of the document is known", "correct it, or leave it out"),
    "state.folder": Check(
        "the state folder may be written", "`chown` or `chmod` for the user of the pipeline, or another `--state-dir`"
    ),
    "state.room": Check("there is room for positions and logs", "free space, or give another `--state-dir`"),
    "state.spool": Check(
        "the disk has room for the spools of the sinks that are not waited for",
        "free space, or lower `spool.max_bytes`",
    ),
    "state.saved": Check("the saved state can be read", "as the message says"),
    "state.process": Check(
        "no other process runs the pipeline", "stop it first, over REST if a control plane started it"
    ),
}


def examine(subject: Subject, raw: dict[str, Any], unknown: list[str], notes: Notes) -> None:
    """Look at the document and this machine.

    Args:
        subject: Of the examination.
        raw: The document as given.
        unknown: What is said of keys that are not known.
        notes: Where it is noted.
    """
    unset = [(path, name) for path, text in _texts(raw, "") for name in unset_in(text)]
    for path, name in unset:
        notes.error("document.variable", f"environment variable {name} is not set ({path})")
    if not unset:
        notes.ok("document.variable", "every environment variable of the document is set")
    for text in unknown:
        notes.warn("document.key", text)
    _folder(subject, notes)
    _process(subject, notes)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text of the document, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{number}]")


def _folder(subject: Subject, notes: Notes) -> None:
    root = subject.paths.root
    folder = nearest(root)
    if not folder.is_dir():
        notes.error("state.folder", f"{folder} is not a folder")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        notes.error("state.folder", f"{folder} may not be written by user {os.getuid()}")
    else:
        notes.ok("state.folder", f"{root} {'may be written' if folder == root else 'is made at the start'}")
    note_room(notes, "state.room", folder)
    policy = subject.spec.spec.commit_policy
    spools = [s.config.spool.max_bytes for s in subject.spec.spec.sinks if not is_waited_for(policy, s.config)]
    statistics = os.statvfs(folder)
    free = statistics.f_bavail * statistics.f_frsize
    if spools and sum(spools) > max(0, free - NONE_BYTES):
        text = f"spools may take {sum(spools) >> 20:,} MiB, and {free >> 20:,} MiB are free at {folder}"
        notes.warn("state.spool", text)


def _process(subject: Subject, notes: Notes) -> None:
    pid = holder_of(subject.paths.lock)
    if pid is None:
        notes.ok("state.process", "no process runs the pipeline")
        return
    by = ""
    if is_of_control_plane(pid):
        plane = control_plane_pid(subject.paths.state_dir)
        by = f", started by the control plane{f' (process {plane})' if plane else ''}"
    notes.warn("state.process", f"the pipeline runs already as process {pid}{by}")
