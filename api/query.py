"""Reading query parameters."""

from __future__ import annotations

from quart import request

from deltaforge.core.errors import SpecError


def number(name: str, default: int, highest: int) -> int:
    """A whole number from 1 to ``highest``.

    Raises:
        SpecError: Anything else was given.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= highest):
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
