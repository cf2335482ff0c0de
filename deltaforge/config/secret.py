"""Values that must not be seen: passwords, tokens, connection strings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr

from deltaforge.config.known_secrets import KNOWN_SECRETS, REDACTED
from deltaforge.config.secret_spans import Span, is_secret_name, spans_in_dsn, spans_in_text

__all__ = [
    "REDACTED",
    "Dsn",
    "Secret",
    "SecretMap",
    "is_redacted",
    "is_secret_name",
    "redacted",
    "redacted_dsn",
    "secrets_in",
]

MAX_DSN_LENGTH = 1 << 16


def redacted(text: str) -> str:
    """The text with ``***`` for every secret that this process knows, and for what looks like one: a password in a URL,
    the value of ``password=…``.
    """
    text = KNOWN_SECRETS.hidden(text)
    return _cut(text, spans_in_text(text))


def redacted_dsn(dsn: str) -> str:
    """A connection string, or another setting that may hold a secret, without its secrets; also one that cannot be
    read. The same for the same string, whatever this process knows.
    """
    return _cut(dsn, spans_in_dsn(dsn))


def is_redacted(text: str) -> bool:
    """Whether the text is what redaction leaves behind: ``***``, or a DSN whose password is ``***``."""
    if REDACTED not in text:
        return False
    return text == REDACTED or any(text[start:end] == REDACTED for start, end in spans_in_dsn(text))


def secrets_in(text: str) -> list[str]:
    """The secrets of a connection string, as they are written in it, and without the quotes that they may stand in."""
    found = [text[start:end] for start, end in spans_in_dsn(text)]
    return found + [inner for value in found if (inner := _unquoted(value)) is not None]


def _cut(text: str, spans: list[Span]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], REDACTED]
        at = end
    return "".join([*parts, text[at:]])


def _unquoted(value: str) -> str | None:
    """Of a value that begins with a quote, what stands between it and the next one of its kind."""
    mark = value[:1]
    end = value.rfind(mark)
    return value[1:end].replace("\\" + mark, mark).replace("\\\\", "\\") if mark in ("'", '"') and end > 0 else None


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _bounded(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) > MAX_DSN_LENGTH:
        raise ValueError(f"must be at most {MAX_DSN_LENGTH} characters")
    return value


def _without_secrets(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: REDACTED if is_secret_name(name) else redacted_dsn(value) if isinstance(value, str) else value
        for name, value in settings.items()
    }


Dsn = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    AfterValidator(_bounded),
    PlainSerializer(lambda v: redacted_dsn(v.get_secret_value()), return_type=str, when_used="json"),
]
"""A connection string. ``repr`` shows nothing; JSON output shows it without its password."""

Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    PlainSerializer(lambda _: REDACTED, return_type=str, when_used="json"),
]
"""A password or token. JSON output shows ``***``."""

SecretMap = Annotated[
    dict[str, str],
    Field(repr=False),
    PlainSerializer(_without_secrets, return_type=dict[str, Any], when_used="json"),
]
"""Headers or client settings by name. JSON output shows ``***`` for those whose name says secret."""
