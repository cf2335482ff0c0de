"""Values that must not be seen: passwords, tokens, connection strings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr

REDACTED = "***"

_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^:/?#@\s]*:)(?P<secret>[^\s]*)@")
_SENSITIVE_NAME = r"\b\w*(?:password|passwd|token|secret|api_?key|scram_(?:client|server)_key)"
_KEY_PASSWORD = re.compile(
    rf"(?P<head>{_SENSITIVE_NAME}\s*=\s*)(?P<secret>'(?:[^'\\]|\\.)*'|[^\s&]+)",
    re.IGNORECASE,
)
# In a text that is nothing but a connection string a password may also hold blanks, or end in the middle of a quote.
_DSN_URL_PASSWORD = re.compile(r"(?P<head>^\s*[a-zA-Z][a-zA-Z0-9+.-]*://[^:/?#@\s]*:).*@", re.DOTALL)
_DSN_KEY_PASSWORD = re.compile(
    rf"(?P<head>{_SENSITIVE_NAME}\s*=\s*)(?:'(?:[^'\\]|\\.)*(?:'|$)|(?:[^'\\]|\\.)(?:[^\\]|\\.)*?(?=\s+\w+\s*=|\s*$))",
    re.IGNORECASE | re.DOTALL,
)
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|secret|token|credential|authorization|cookie|jaas|(?:api|access|private|ssl|signing)[-_.]?key"
    r"|key[-_.]?pem|keystore",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text with every password in a URL or ``password=…`` pair replaced by ``***``."""
    text = _URL_PASSWORD.sub(lambda m: m["head"] + REDACTED + "@", text)
    return _KEY_PASSWORD.sub(lambda m: m["head"] + REDACTED, text)


def redacted_dsn(dsn: str) -> str:
    """A connection string without its password, also one that cannot be read."""
    if "://" in dsn:
        return redacted(_DSN_URL_PASSWORD.sub(lambda m: m["head"] + REDACTED + "@", dsn))
    return _DSN_KEY_PASSWORD.sub(lambda m: m["head"] + REDACTED, dsn)


def is_redacted(text: str) -> bool:
    """Whether the text is what redaction leaves behind: ``***``, or a DSN whose password is ``***``."""
    if text == REDACTED:
        return True
    found = [*_URL_PASSWORD.finditer(text), *_KEY_PASSWORD.finditer(text)]
    return any(match["secret"] == REDACTED for match in found)


def is_secret_name(name: str) -> bool:
    """Whether a header or client setting of that name usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _without_secrets(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: REDACTED if is_secret_name(name) else redacted(value) if isinstance(value, str) else value
        for name, value in settings.items()
    }


Dsn = Annotated[
    SecretStr,
    BeforeValidator(_secret),
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
