"""Documents that come back with ``***`` where a secret was. Contract 02 section 13."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deltaforge.config.secret import REDACTED, is_redacted, redacted_dsn
from deltaforge.config.steps import Steps


def has_redacted(data: Any) -> bool:
    """Whether ``spec`` of a document still holds the redacted form of a secret somewhere."""
    return next(redacted_steps(data), None) is not None


def redacted_steps(data: Any) -> Iterator[Steps]:
    """Where below ``spec`` the redacted form of a secret stands. Metadata may hold any text."""
    if isinstance(data, dict) and "spec" in data:
        for steps, text in _strings(data["spec"]):
            if is_redacted(text):
                yield ("spec", *steps)


def restore_secrets(patched: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """Put the secrets of ``original`` back where ``patched`` has only their redacted form.

    A secret is taken from the same place; elements of an array are the same when they have the same
    id. A DSN that was changed anywhere else keeps its ``***``: a password is not sent to another host.

    Returns:
        A new document; what could not be restored is found by :func:`redacted_steps`.
    """
    restored = _restored(patched, original)
    return restored if isinstance(restored, dict) else patched


def _restored(value: Any, old: Any) -> Any:
    if isinstance(value, dict) and isinstance(old, dict):
        return {key: _restored(inner, old.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(old, list):
        by_id = {_id(element): element for element in old if _id(element) is not None}
        return [_restored(inner, by_id.get(_id(inner), _at(old, number))) for number, inner in enumerate(value)]
    if isinstance(value, str) and isinstance(old, str) and is_redacted(value):
        return old if value in (REDACTED, redacted_dsn(old)) else value
    return value


def _at(elements: list[Any], number: int) -> Any:
    """The element at the same place, if it has no id that says that it is another."""
    return elements[number] if number < len(elements) and _id(elements[number]) is None else None


def _id(element: Any) -> str | None:
    if not isinstance(element, dict):
        return None
    config = element.get("config")
    found = config.get("id") if isinstance(config, dict) else element.get("id")
    return found if isinstance(found, str) else None


def _strings(data: Any, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Every string in a JSON value with where it is."""
    if isinstance(data, str):
        yield steps, data
    elif isinstance(data, dict | list):
        for step, inner in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _strings(inner, (*steps, step))
