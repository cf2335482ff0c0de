"""The file that the demo's pipeline writes: how a change looks, and the tables that all of them make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape

_VERBS = {"c": "[green]insert[/]", "u": "[yellow]update[/]", "d": "[red]delete[/]"}
SHOWN_COLUMNS = 4


class Changes:
    """The events in a file of JSON lines, read as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """The events that came since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        new = [json.loads(line) for line in lines]
        self.events += new
        return new

    @property
    def repeated_count(self) -> int:
        """Events that came a second time: what had been delivered and not yet saved when the process died."""
        return len(self.events) - len({event["event_id"] for event in self.events})

    def tables(self) -> dict[str, dict[int, dict[str, Any]]]:
        """The rows of each table by their key, rebuilt from every event in order."""
        tables: dict[str, dict[int, dict[str, Any]]] = {"customers": {}, "orders": {}}
        for event in self.events:
            rows = tables[event["source"]["table"]]
            if event["op"] == "d":
                rows.pop(event["before"]["id"], None)
            else:
                rows[event["after"]["id"]] = event["after"]
        return tables


def pretty(event: dict[str, Any], *, column: str = "") -> str:
    """A change in one line; ``column`` is shown whatever its place."""
    image = event["after"] or event["before"] or {}
    names = list(image)[:SHOWN_COLUMNS]
    parts = [escape(f"{name}={image[name]}") for name in names]
    if column and column not in names:
        parts.append(f"[bold cyan]{escape(f'{column}={image[column]}')}[/]")
    return f"   {_VERBS.get(event['op'], event['op'])} {event['source']['table']:10} {', '.join(parts)}"
