"""Progress on the terminal and results in files: the same for every benchmark."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deltaforge import __version__

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("bytewax", "confluent-kafka", "msgspec", "psycopg", "redis")


def progress_bars() -> Progress:
    """Bars on standard error, so that the tables on standard output can be redirected."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """GitHub's table form: it reads well in a terminal and in the results folder."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def save(name: str, module: str, document: dict[str, Any], text: str, **versions: str) -> None:
    """Write ``document`` as JSON and ``text`` as Markdown, both with the command and the versions of everything."""
    now = datetime.now(UTC)
    facts = {
        "at": now.isoformat(timespec="seconds"),
        "command": " ".join(["python -m", module, *sys.argv[1:]]),
        "deltaforge": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in LIBRARIES},
        **versions,
    }
    stem = RESULTS / f"{name}-{now:%Y-%m-%dT%H%M}"
    body = msgspec.json.format(msgspec.json.encode({"facts": facts} | document), indent=2)
    stem.with_suffix(".json").write_bytes(body + b"\n")
    others = "".join(f", {name} {value}" for name, value in versions.items())
    line = f"`{facts['command']}`, DeltaForge {__version__}, Python {facts['python']}, {facts['cpus']} cores{others}"
    stem.with_suffix(".md").write_text(f"{line}\n\n{text}\n")
    Console(stderr=True).print(f"written to {stem}.json")
