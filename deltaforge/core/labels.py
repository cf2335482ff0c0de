"""Quoted texts as catalogs print them: labels of enums and sets, defaults."""

from __future__ import annotations

import re


def labels_in(text: str) -> tuple[str, ...]:
    """The labels of a type as a catalog prints it (``enum('a','it''s')``), in order."""
    return tuple(unquoted(raw) for raw in _LABEL.findall(text))


def unquoted(raw: str) -> str:
    """A text as a catalog prints it between quotes: with doubled quotes, and some characters behind a backslash."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), raw.replace("''", "'"))


_LABEL = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"0": "\0", "n": "\n", "r": "\r"}
