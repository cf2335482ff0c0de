"""The file that the demo's pipeline writes: how a change looks, and the tables that all of them make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape

_VERBS = {"r": "[cyan]copy[/]  ", "c": "[green]insert[/]", "u": "[yellow]update[/]", "d": "[red]delete[/]"}
SHOWN_COLUMNS = 4


class Changes:
    """The events in a file of JSON lines, read as they come.

    Attributes:
        count: Events.
        copied_count: Those of them that are rows which were there before.
        tables: The rows of each table by their key, rebuilt from every event in order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""
        self._ids: set[str] = set()
        self.count = self.copied_count = 0
        self.tables: dict[str, dict[int, dict[str, Any]]] = {"customers": {}, "orders": {}}

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
        for event in new:
            self._apply(event)
        return new

    @property
    def repeated_count(self) -> int:
        """Events that came a second time: what had been delivered and not yet saved when the process died."""
        return self.count - len(self._ids)

    def _apply(self, event: dict[str, Any]) -> None:
        self.count += 1
        self.copied_count += event["op"] == "r"
        self._ids.add(event["event_id"])
        rows = self.tables[event["source"]["table"]]
        if event["op"] == "d":
            rows.pop(event["before"]["id"], None)
        else:
            rows[event["after"]["id"]] = event["after"]


def pretty(event: dict[str, Any], *, column: str = "") -> str:
    """A change in one line; ``column`` is shown whatever its place."""
    image = event["after"] or event["before"] or {}
    names = list(image)[:SHOWN_COLUMNS]
    parts = [escape(f"{name}={image[name]}") for name in names]
    if column and column not in names:
        parts.append(f"[bold cyan]{escape(f'{column}={image[column]}')}[/]")
    return f"   {_VERBS.get(event['op'], event['op'])} {event['source']['table']:10} {', '.join(parts)}"
