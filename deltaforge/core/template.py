"""Templates such as ``cdc.${source.db}.${source.table}``: text with paths into the native event.

Rules of contract 03 section 7.1: strings are written as they are, other values as JSON text; null
counts as missing. The paths are those of the native document, but no document is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, SourceInfo, Transaction
from deltaforge.core.json_text import encode_json

MAX_SEGMENTS = 3
_EVENT_KEYS = frozenset(ChangeEvent.__struct_fields__) - {"schema", "routing", "origin"}

_QUALIFIED = "qualified_table"
"""Of a source, beside its keys: ``schema.table``, or where there are no schemas ``db.table``."""

Part = str | tuple[str, ...]
"""Literal text, or the segments of a path."""


class Template:
    """A parsed template. Immutable; used by any number of events.

    Args:
        parts: Literal texts and paths, in order, as :meth:`parse` makes them.
    """

    __slots__ = ("_parts", "text")

    def __init__(self, text: str, parts: tuple[Part, ...]) -> None:
        self.text = text
        self._parts = parts

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read ``text``; ``$`` without ``{`` is literal.

        Raises:
            ValueError: A ``${`` without end, an empty path or segment, or more than three segments;
                says at which character.
        """
        parts: list[Part] = []
        at = 0
        while (start := text.find("${", at)) >= 0:
            if start > at:
                parts.append(text[at:start])
            end = text.find("}", start)
            if end < 0:
                raise ValueError(f"unclosed `${{` at character {start + 1}")
            parts.append(_path(text[start + 2 : end], start + 1))
            at = end + 1
        if at < len(text):
            parts.append(text[at:])
        return cls(text, tuple(parts))

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its literal texts and paths, in order."""
        return self._parts

    @property
    def is_static(self) -> bool:
        """Whether every event gives the same text."""
        return all(isinstance(part, str) for part in self._parts)

    def render(self, event: ChangeEvent, missing: Callable[[str], str]) -> str:
        """The text for one event.

        Args:
            event: Where the paths lead into.
            missing: Called with each path (``after.f``) that leads to nothing or null; returns what
                stands for it, or raises.

        Raises:
            ValueError: A value has no JSON text, or the log does not hold it.
        """
        return "".join(
            part if isinstance(part, str) else _text(value_at(event, part), part, missing) for part in self._parts
        )


def _path(text: str, position: int) -> tuple[str, ...]:
    segments = tuple(text.split("."))
    if not text:
        raise ValueError(f"empty `${{}}` at character {position}")
    if not all(segments):
        raise ValueError(f"empty path segment in `${{{text}}}` at character {position}")
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"more than {MAX_SEGMENTS} path segments in `${{{text}}}` at character {position}")
    return segments


def value_at(event: ChangeEvent, path: tuple[str, ...]) -> Any:
    """What the path leads to; None if nothing."""
    if path[0] not in _EVENT_KEYS:
        return None
    value = getattr(event, path[0])
    for segment in path[1:]:
        if isinstance(value, dict):
            value = value.get(segment)
        elif isinstance(value, SourceInfo | Transaction) and segment in (*value.__struct_fields__, _QUALIFIED):
            value = getattr(value, segment, None)
        else:
            return None
    return None if value is UNSET else value


def _text(value: Any, path: tuple[str, ...], missing: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return missing(".".join(path))
    if value == UNCHANGED_TOAST:
        raise ValueError(f"the log does not hold `{'.'.join(path)}`: the update did not touch this TOAST value")
    return encode_json(value).decode()
