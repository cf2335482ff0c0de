"""Checks of positions as operators write them."""

from __future__ import annotations

from typing import Any


def is_number(value: Any) -> bool:
    """Whether a JSON value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_keys(view: dict[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    """Check the keys of a position.

    Raises:
        ValueError: One is missing or not known.
    """
    for key in required:
        if key not in view:
            raise ValueError(f"missing field `{key}`")
    unknown = sorted(set(view) - {*required, *optional})
    if unknown:
        raise ValueError(f"unknown field `{unknown[0]}`")
