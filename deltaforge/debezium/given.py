"""Files that configure a connector: Java properties, JSON of Kafka Connect's REST interface, Debezium Server's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltaforge.core.errors import SpecError

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_KEY = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SERVER = "debezium."
_SOURCE, _SINK = "source.", "sink."
_SHAPING = ("format.", "transforms", "predicates")
"""What Debezium Server has outside of source and sink, and a connector among its own properties."""


@dataclass(frozen=True)
class Given:
    """What a file says.

    Attributes:
        config: Properties of the connector by name.
        sink: Of a Debezium Server: properties of its sink, and of the format of its messages, by the name behind
            ``debezium.``; empty for a connector of Kafka Connect.
        is_server: Whether it is the configuration of a Debezium Server.
    """

    config: dict[str, str]
    sink: dict[str, str]
    is_server: bool


def read_given(path: Path) -> Given:
    """The configuration of one connector.

    Raises:
        SpecError: The file cannot be read, or is none.
    """
    text = _text(path)
    if text.lstrip().startswith("{"):
        return Given(_of_json(path, text), {}, is_server=False)
    found = read_properties(text)
    server = {name[len(_SERVER) :]: value for name, value in found.items() if name.startswith(_SERVER)}
    if not any(name.startswith(_SOURCE) for name in server):
        return Given(found, {}, is_server=False)
    config = {name[len(_SOURCE) :]: value for name, value in server.items() if name.startswith(_SOURCE)}
    config |= {name: value for name, value in server.items() if name.startswith(_SHAPING[1:])}
    sink = {name: value for name, value in server.items() if name.startswith((_SINK, _SHAPING[0]))}
    return Given(config, sink, is_server=True)


def read_worker(path: Path) -> dict[str, str]:
    """The properties of a Kafka Connect worker.

    Raises:
        SpecError: The file cannot be read.
    """
    return read_properties(_text(path))


def read_properties(text: str) -> dict[str, str]:
    """What ``java.util.Properties`` makes of a text: a backslash is none any more unless it is doubled.

    Source: the documentation of ``Properties.load``.
    """
    found = {}
    for line in _logical_lines(text):
        key = _KEY.match(line)
        if key is not None:
            found[_unescaped(key[1])] = _unescaped(line[key.end() :])
    return found


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    goes_on = False
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not goes_on and (not line or line[0] in "#!"):
            continue
        begun = lines.pop() if goes_on else ""
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        lines.append(begun + (line[:-1] if goes_on else line))
    return lines


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[2]), text)


def _of_json(path: Path, text: str) -> dict[str, str]:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SpecError(f"{path} is not JSON: {exc}") from exc
    config = data.get("config", data)
    if not isinstance(config, dict):
        raise SpecError(f"config of {path} is no object")
    if config is not data and isinstance(data.get("name"), str):
        config = {"name": data["name"], **config}
    return {name: _plain(path, name, value) for name, value in config.items() if value is not None}


def _plain(path: Path, name: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise SpecError(f"{name} of {path} is no single value", hint="as Kafka Connect has it: text, numbers, booleans")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise SpecError(f"cannot read {path}: {exc.strerror}") from exc
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what Java takes properties for
