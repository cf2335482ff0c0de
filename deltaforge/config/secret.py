"""Values that must not be seen: passwords, tokens, connection strings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SecretStr

REDACTED = "***"

_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^:/?#@\s]*:)(?P<secret>[^\s]*)@")
_KEY_PASSWORD = re.compile(
    r"(?P<head>\b(?:password|passwd|sslpassword)\s*=\s*)(?P<secret>'(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with every password in a URL or ``password=…`` pair replaced by ``***``."""
    text = _URL_PASSWORD.sub(lambda m: m["head"] + REDACTED + "@", text)
    return _KEY_PASSWORD.sub(lambda m: m["head"] + REDACTED, text)


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


Dsn = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    PlainSerializer(lambda v: redacted(v.get_secret_value()), return_type=str, when_used="json"),
]
"""A connection string. ``repr`` shows nothing; JSON output shows it without its password."""

Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    PlainSerializer(lambda _: REDACTED, return_type=str, when_used="json"),
]
"""A password or token. JSON output shows ``***``."""
