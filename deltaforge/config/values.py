"""Which values from outside are taken at all: those that can be stored, sent to a server, and shown again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from deltaforge.config.steps import Step, path_text
from deltaforge.core.errors import SpecError
from deltaforge.core.json_text import is_unicode

MAX_DEPTH = 100
"""Far more than any document needs, far less than the interpreter's own limit."""
_LOWEST, _HIGHEST = -(1 << 63), (1 << 64) - 1
_END = object()


def refuse_unusable(data: Any, *, max_values: int | None = None) -> None:
    """Check a value that came from outside before anything else looks into it. Takes time in proportion to its size.

    Args:
        data: JSON values, and what YAML or Python's JSON makes beyond them.
        max_values: How many values and keys there may be; None: any number.

    Raises:
        SpecError: Objects and arrays are nested more than ``MAX_DEPTH`` levels deep, a text cannot be written in UTF-8
            or has a NUL, a number is not finite or beyond 64 bits, or there is a value that JSON does not have.
    """
    steps: list[Step] = []
    inner: list[Iterator[tuple[Step, Any]]] = [_inside(data, steps)]
    count = 0
    while inner:
        step, value = next(inner[-1], (0, _END))
        if value is _END:
            inner.pop()
            if steps:
                steps.pop()
            continue
        count += 1
        if max_values is not None and count > max_values:
            raise SpecError(f"has more than {max_values} values", hint="leave out what is not needed")
        steps.append(step)
        if isinstance(value, dict | list):
            if len(steps) > MAX_DEPTH:
                raise SpecError(f"nested more than {MAX_DEPTH} levels deep")
            inner.append(_inside(value, steps))
        else:
            _check(value, steps)
            steps.pop()


def _inside(value: Any, steps: list[Step]) -> Iterator[tuple[Step, Any]]:
    """What is in an object or array, by its step; a scalar is checked."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise SpecError("a key must be text", path=path_text(steps))
            _check(key, steps)
            yield key, inner
    elif isinstance(value, list):
        yield from enumerate(value)
    else:
        _check(value, steps)


def _check(value: Any, steps: list[Step]) -> None:
    fault = _fault(value)
    if fault is not None:
        raise SpecError(fault, path=path_text(steps))


def _fault(value: Any) -> str | None:
    """What is wrong with a scalar. Never says the value."""
    if isinstance(value, str):
        if "\0" in value:
            return "must not hold the character NUL"
        return None if is_unicode(value) else "must be Unicode text: it has half of a surrogate pair"
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return None if _LOWEST <= value <= _HIGHEST else "must be a number of at most 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    return "must be a value that JSON has"
