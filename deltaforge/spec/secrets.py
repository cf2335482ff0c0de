"""Documents that come back with ``***`` where a secret was. Contract 02 section 13."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from deltaforge.config.secret import REDACTED, is_redacted, is_secret_name, redacted_dsn, secrets_in
from deltaforge.config.steps import Steps

_CONNECTION_STRINGS = frozenset({"dsn", "uri", "url", "endpoint", "schema_registry_url"})
_SECRET_MAPS = frozenset({"client_conf", "headers"})


def has_redacted(data: Any) -> bool:
    """Whether ``spec`` of a document still holds the redacted form of a secret somewhere."""
    return next(redacted_steps(data), None) is not None


def redacted_steps(data: Any) -> Iterator[Steps]:
    """Where below ``spec`` the redacted form of a secret stands. Metadata may hold any text."""
    if isinstance(data, dict) and "spec" in data:
        for steps, text in _strings(data["spec"]):
            if is_redacted(text):
                yield ("spec", *steps)


def secrets_of(data: Any) -> list[str]:
    """Every secret in the values of a document, as it is written there; it may be wrong.

    Args:
        data: JSON values, or what a model dumps.
    """
    return list(_secrets(data, "", is_private=False))


def _secrets(value: Any, name: str, *, is_private: bool) -> Iterator[str]:
    """``is_private``: whether names of settings say what the values are."""
    if isinstance(value, SecretStr):
        yield from _secrets(value.get_secret_value(), name, is_private=True)
    elif isinstance(value, str):
        found = secrets_in(value) if is_private or name in _CONNECTION_STRINGS else []
        is_whole = is_secret_name(name) and name not in _CONNECTION_STRINGS
        yield from found or ([value] if is_whole else [])
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, str(key), is_private=is_private or name in _SECRET_MAPS)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, name, is_private=is_private)


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
