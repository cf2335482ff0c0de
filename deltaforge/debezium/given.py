"""Files that configure a connector: Java properties, JSON of Kafka Connect's REST interface, resources of Strimzi,
Debezium Server's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltaforge.core.errors import SpecError
from deltaforge.debezium.confluent_cloud import as_connector
from deltaforge.debezium.strimzi import connector_of, is_resource, worker_of

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
        worker: Properties of the worker, as far as the file has them.
    """

    config: dict[str, str]
    sink: dict[str, str]
    is_server: bool
    worker: dict[str, str] = field(default_factory=dict)


def read_given(path: Path) -> Given:
    """The configuration of one connector.

    Raises:
        SpecError: The file cannot be read, or is none.
    """
    text = _text(path)
    if text.lstrip().startswith(("{", "[")):
        return Given(as_connector(_of_json(path, text)), {}, is_server=False)
    if is_resource(text):
        config, worker = connector_of(path.name, text)
        return Given(config, {}, is_server=False, worker=worker)
    found = read_properties(text)
    server = {name[len(_SERVER) :]: value for name, value in found.items() if name.startswith(_SERVER)}
    if not any(name.startswith(_SOURCE) for name in server):
        return Given(as_connector(found), {}, is_server=False)
    config = {name[len(_SOURCE) :]: value for name, value in server.items() if name.startswith(_SOURCE)}
    config |= {name: value for name, value in server.items() if name.startswith(_SHAPING[1:])}
    sink = {name: value for name, value in server.items() if name.startswith((_SINK, _SHAPING[0]))}
    return Given(config, sink, is_server=True)


def read_worker(path: Path) -> dict[str, str]:
    """The properties of a Kafka Connect worker.

    Raises:
        SpecError: The file cannot be read.
    """
    text = _text(path)
    if not is_resource(text):
        return read_properties(text)
    if not (found := worker_of(path.name, text)):
        raise SpecError(f"{path} has no resource KafkaConnect", hint="or give the properties of the worker")
    return found


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
    data = _one_of(path, data)
    config = data.get("config", data)
    if not isinstance(config, dict):
        raise SpecError(f"config of {path} is no object")
    if config is not data and isinstance(data.get("name"), str):
        config = {"name": data["name"], **config}
    return {name: _plain(path, name, value) for name, value in config.items() if value is not None}


def _one_of(path: Path, data: Any) -> dict[str, Any]:
    """The one connector of an answer that may have several: a list, or ``GET /connectors?expand=info``."""
    found = data if isinstance(data, list) else [data]
    if isinstance(data, dict) and data and all(isinstance(each, dict) and "info" in each for each in data.values()):
        found = [each["info"] for each in data.values()]
    if len(found) == 1 and isinstance(found[0], dict):
        return found[0]
    names = ", ".join(str(each.get("name", "?")) for each in found if isinstance(each, dict))
    raise SpecError(f"{path} has {len(found)} connectors: {names[:200]}", hint="give a file with one of them")


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
