"""The secrets that this process works with, so that they can be taken out of whatever it says, in whatever form they
come: client libraries decode, quote, encode and cut what they were given.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from deltaforge.config.env import REFERENCE

REDACTED = "***"
MIN_LENGTH = 6
"""What is shorter is part of too many words."""
_MAX_LENGTH = 1 << 16
"""What is longer is in no message as a whole."""
_MAX_FORMS = 2000
"""Of one owner."""
_BETWEEN = re.compile(r"[\s@:/?#&=;,'\"\\]+")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_WORD = re.compile(r"[\w.-]+")
_SCHEMES = frozenset({"Bearer", "Digest", "Negotiate"})
"""Words that stand before a secret in a header."""


class KnownSecrets:
    """Secrets by who has them. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_owner: dict[str, frozenset[str]] = {}
        self._forms: list[str] = []

    def learn(self, owner: str, secrets: Iterable[str], *, shown: str = "") -> None:
        """Take these for the secrets of ``owner``, instead of those that it had.

        Args:
            owner: Name of a pipeline, or whoever has secrets.
            secrets: As they are used.
            shown: What of the owner is shown to everybody: words of it are no secrets.
        """
        is_open = set(_WORD.findall(shown)).__contains__
        found: set[str] = set()
        for form in (form for secret in secrets for form in _forms(secret[:_MAX_LENGTH])):
            if len(form) >= MIN_LENGTH and not is_open(form):
                found.add(form)
            if len(found) >= _MAX_FORMS:
                break
        with self._lock:
            self._by_owner[owner] = frozenset(found)
            self._sort()

    def forget(self, owner: str) -> None:
        """Whoever has it is gone."""
        with self._lock:
            self._by_owner.pop(owner, None)
            self._sort()

    def forms(self) -> tuple[str, ...]:
        """All of them, in every form: for another process of ours that works with the same."""
        return tuple(self._forms)

    def hidden(self, text: str) -> str:
        """The text with ``***`` for every known secret."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def _sort(self) -> None:
        """Longest first: a piece of a secret must not be cut out of the whole."""
        self._forms = sorted({form for forms in self._by_owner.values() for form in forms}, key=len, reverse=True)


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text with ``***`` for every one of these secrets."""
    known = KnownSecrets()
    known.learn("", secrets)
    return known.hidden(text)


KNOWN_SECRETS = KnownSecrets()
"""Of this process."""


def _forms(secret: str) -> Iterator[str]:
    """What a message may have of a secret. What stands for a variable is none."""
    for part in REFERENCE.split(secret)[:: REFERENCE.groups + 1]:
        for plain in dict.fromkeys((part, part.strip(), unquote(part), unquote_plus(part))):
            yield from _written(plain)
            yield from (piece for piece in _BETWEEN.split(plain) if piece not in _SCHEMES and piece[:5] != "-----")


def _written(plain: str) -> Iterator[str]:
    yield plain
    for encoded in (
        quote(plain, safe="", errors="replace"),
        quote(plain, errors="replace"),
        quote_plus(plain, errors="replace"),
    ):
        yield encoded
        yield _ESCAPE.sub(lambda found: found[0].lower(), encoded)
    yield repr(plain)[1:-1]
    yield repr(plain.encode(errors="replace"))[2:-1]
    yield json.dumps(plain)[1:-1]
    yield json.dumps(plain, ensure_ascii=False)[1:-1]
    yield plain.replace("\\", "\\\\").replace("'", "\\'")
    yield plain.replace("'", "''")
