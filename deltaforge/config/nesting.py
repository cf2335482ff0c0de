"""A bound on nesting, so that walking through a document by recursion is safe everywhere."""

from __future__ import annotations

from typing import Any

from deltaforge.core.errors import SpecError

MAX_DEPTH = 100
"""Far more than any document needs, far less than the interpreter's own limit."""


def refuse_deep_nesting(data: Any) -> None:
    """Check a JSON value that came from outside before anything else looks into it.

    Raises:
        SpecError: Objects and arrays are nested more than ``MAX_DEPTH`` levels deep.
    """
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise SpecError(f"nested more than {MAX_DEPTH} levels deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
