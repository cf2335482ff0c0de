"""Where results are kept: JSON for programs and a table for people, both with the command and the versions."""

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

from deltaforge import __version__

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("bytewax", "confluent-kafka", "msgspec", "psycopg", "redis")


def save(module: str, name: str, results: Sequence[Any], table: str, **more: Any) -> None:
    """Write ``results`` and ``table`` to ``results/<name>-<now>.json`` and ``.md``.

    Args:
        module: The module whose command line this was.
        name: First part of the files' name.
        results: Structs of one type.
        table: The results in GitHub's table form.
        more: Further keys of the JSON document.
    """
    now = datetime.now(UTC)
    facts = {
        "at": now.isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.{module} " + " ".join(sys.argv[1:]),
        "deltaforge": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{library: version(library) for library in LIBRARIES},
    }
    stem = str(RESULTS / f"{name}-{now:%Y-%m-%dT%H%M}")  # a name may have dots: nothing of it is a suffix
    document = {"facts": facts, **more, "results": results}
    text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    Path(f"{stem}.json").write_bytes(text)
    lines = [f"`{facts['command']}`, DeltaForge {__version__}, Python {facts['python']}, {facts['cpus']} cores", ""]
    Path(f"{stem}.md").write_text("\n".join([*lines, table, ""]))
    Console(stderr=True).print(f"written to {stem}.json")
