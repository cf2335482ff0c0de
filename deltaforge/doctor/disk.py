"""Room on a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deltaforge.doctor.finding import Notes

SCARCE_BYTES, NONE_BYTES = 1 << 30, 64 << 20


def note_room(notes: Notes, check: str, folder: Path) -> None:
    """Note how much is free on the disk of a folder that exists."""
    with notes.of(check):
        free = shutil.disk_usage(folder).free
        inodes = os.statvfs(folder)
        text = f"{free >> 20:,} MiB are free at {folder}"
        if free < NONE_BYTES or (inodes.f_files and not inodes.f_favail):
            notes.error(check, text if free < NONE_BYTES else f"no file can be made at {folder}: all inodes are in use")
        elif free < SCARCE_BYTES:
            notes.warn(check, text)
        else:
            notes.ok(check, text)


def nearest(path: Path) -> Path:
    """The path itself, or the nearest one above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
