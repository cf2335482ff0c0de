"""Where in a document something is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

Step = str | int
Steps = tuple[Step, ...]
"""Keys and indexes that lead from the top of a document to a value."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MAX_KEY_LENGTH = 60


def path_text(steps: Iterable[Step]) -> str:
    """Steps as people write them: ``spec.sinks[0].config.topic``."""
    text = ""
    for step in steps:
        text += step_text(step, is_first=not text)
    return text


def step_text(step: Step, *, is_first: bool = False) -> str:
    """One step, as it stands behind those before."""
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_KEY.fullmatch(step) and len(step) <= _MAX_KEY_LENGTH:
        return step if is_first else f".{step}"
    return f"[{json.dumps(step[:_MAX_KEY_LENGTH])}]"
