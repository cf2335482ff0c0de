"""Which commit this is, and from when: written by ``setup.py`` into a package, asked of git in a checkout."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
WRITTEN = "build.json"


class Build(NamedTuple):
    """``date`` is that of the commit, RFC 3339; ``unknown`` is what nobody can say."""

    commit: str
    date: str


@cache
def build() -> Build:
    """Of this installation."""
    try:
        return Build(**json.loads((_HERE / WRITTEN).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return of_git(_HERE.parent)


def of_git(folder: Path) -> Build:
    """Of a checkout; what is not one, or has no git, is ``unknown``."""
    command = ["git", "-C", str(folder), "log", "-1", "--format=%H %cI"]
    if (folder / ".git").exists():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603 - no input
            return Build(*done.stdout.split())
        except (OSError, ValueError, TypeError, subprocess.SubprocessError):
            pass
    return Build("unknown", "unknown")
