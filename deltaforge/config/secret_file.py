"""Secrets that stand in files, one in each, as container platforms mount them: ``${file:name}``."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from deltaforge.core.errors import SpecError

MAX_BYTES = 64 << 10


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a file that has to be below a folder, or None."""
    path = Path(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or path == Path():
        return f"`${{file:{name}}}` names no file below the folder of secrets (--secrets-dir)"
    return None


def read_secret_file(folder: Path, name: str, *, is_confined: bool) -> str:
    """What a file holds, less one line end behind it.

    Args:
        folder: Where names begin.
        name: Of the file.
        is_confined: It has to be below ``folder``, symbolic links followed; such as Kubernetes makes are.

    Raises:
        SpecError: It has to be and is not, or cannot be read, or is longer than ``MAX_BYTES``.
    """
    shown = f"secret file {name}"
    fault = name_fault(name) if is_confined else None
    if fault:
        raise SpecError(fault)
    path = Path(os.path.realpath(folder / name))
    if is_confined and not path.is_relative_to(os.path.realpath(folder)):
        raise SpecError(f"{shown} leads out of the folder of secrets")
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SpecError(f"{shown} is not a file")
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise SpecError(f"{shown} cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise SpecError(f"{shown} is longer than {MAX_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SpecError(f"{shown} is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
