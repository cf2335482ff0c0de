"""Where in the text of a document its values are: `` at line 7 column 3``. Only looked for when something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import yaml

from deltaforge.config.steps import step_text

_TOKEN = re.compile(r'[\s,:]*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s,:{}\[\]"]+)', re.DOTALL)
"""A string, a bracket, or another scalar of JSON, behind what only separates."""


class _Level:
    """An object or array that is open at this point of the text.

    ``path`` is None if nothing that is looked for is in it. ``key`` is that of the value that comes next.
    """

    __slots__ = ("index", "is_object", "key", "keys", "path")

    def __init__(self, path: str | None, *, is_object: bool) -> None:
        self.path, self.is_object = path, is_object
        self.key: str | None = None
        self.keys: set[str] = set()
        self.index = -1

    def next_path(self) -> str | None:
        """The path of the value that begins here."""
        self.index += 1
        if self.path is None:
            return None
        step = self.key or "" if self.is_object else self.index
        return self.path + step_text(step, is_first=not self.path)


def json_places(text: str, paths: Iterable[str]) -> dict[str, str]:
    """Where these paths are in a right JSON text; those that are not in it are left out."""
    wanted = list(paths)
    found = {path: at for path, at in _json_values(text, wanted) if path in wanted}
    return {path: _place(text, at) for path, at in found.items()}


def repeated_key(text: str) -> tuple[str, str]:
    """The first key that stands twice in an object of a right JSON text, and where it does so."""
    levels: list[_Level] = []
    for token in _TOKEN.finditer(text):
        at, word = token.start(1), token[1]
        if word in "{[":
            levels.append(_Level(None, is_object=word == "{"))
        elif word in "}]":
            levels.pop()
        elif levels and levels[-1].is_object and text.startswith(":", _behind_blanks(text, token.end())):
            key = _text_of(word)
            if key in levels[-1].keys:
                return key, _place(text, at)
            levels[-1].keys.add(key)
    return "", ""


def yaml_places(text: str, paths: Iterable[str], loader: type[yaml.SafeLoader]) -> dict[str, str]:
    """Where these paths are in a right YAML text; those that are not in it are left out."""
    wanted = list(paths)
    root = yaml.compose(text, Loader=loader)
    values = _yaml_values(root, "", wanted) if root is not None else iter(())
    return {path: _said(mark.line + 1, mark.column + 1) for path, mark in values if path in wanted}


def _json_values(text: str, wanted: list[str]) -> Iterator[tuple[str, int]]:
    """Values on the way to what is wanted: path and offset."""
    levels: list[_Level] = []
    for token in _TOKEN.finditer(text):
        at, word = token.start(1), token[1]
        if word in "}]":
            levels.pop()
            continue
        level = levels[-1] if levels else None
        if level is not None and level.is_object and level.key is None:
            level.key = _text_of(word)
            continue
        path = level.next_path() if level is not None else ""
        if level is not None:
            level.key = None
        if path is not None and not _leads_to(path, wanted):
            path = None
        if path is not None:
            yield path, at
        if word in "{[":
            levels.append(_Level(path, is_object=word == "{"))


def _yaml_values(node: yaml.Node, path: str, wanted: list[str]) -> Iterator[tuple[str, yaml.Mark]]:
    yield path, node.start_mark
    inner: Iterable[tuple[str | int, yaml.Node]] = ()
    if isinstance(node, yaml.MappingNode):
        inner = ((key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        inner = enumerate(node.value)
    for step, value in inner:
        below = path + step_text(step, is_first=not path)
        if _leads_to(below, wanted):
            yield from _yaml_values(value, below, wanted)


def _leads_to(path: str, wanted: list[str]) -> bool:
    return not path or any(one == path or one.startswith((path + ".", path + "[")) for one in wanted)


def _text_of(word: str) -> str:
    """The text of a JSON string; keys with escapes are compared as Python reads them."""
    if "\\" not in word:
        return word[1:-1]
    return str(json.loads(word))


def _behind_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _place(text: str, at: int) -> str:
    return _said(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def _said(line: int, column: int) -> str:
    return f" at line {line} column {column}"
