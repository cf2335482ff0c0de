"""Reading query parameters."""

from __future__ import annotations

import re

from quart import request

from deltaforge.core.errors import SpecError

_NUMBER = re.compile("[1-9][0-9]{0,18}")
"""Without a sign, spaces or zeros in front, and short enough to become a number in no time."""


def number(name: str, default: int, highest: int) -> int:
    """A whole number from 1 to ``highest``.

    Raises:
        SpecError: Anything else was given.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or int(text) > highest:
        raise SpecError(f"expected a whole number from 1 to {highest}", path=name)
    return int(text)


def flag(name: str) -> bool:
    """``true`` or ``false``; false if it is not given.

    Raises:
        SpecError: Anything else was given.
    """
    text = request.args.get(name, "false")
    if text not in ("true", "false"):
        raise SpecError("expected true or false", path=name)
    return text == "true"
