"""Where secrets stand in a text. Every function here looks at each character a bounded number of times: the text may
have been made by somebody who wants us to be busy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

Span = tuple[int, int]
"""Begin and end of a piece of a text."""

_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|pwd|secret|token|credential|authorization|cookie|jaas|oauthbearer[-_.]config|signature|bearer"
    r"|(?:api|access|private|secret|ssl|signing|scram[-_.](?:client|server)|(?:shared|subscription))[-_.]?key"
    r"|key[-_.]?pem|keystore|x[-_.]auth",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\s*+(?P<name>[a-zA-Z][a-zA-Z0-9+.-]*+)://")
_TOKEN_SCHEMES = ("http", "https", "nats", "tls", "ws", "wss")
"""A user without a password is a token there."""
_PARAMETER = re.compile(r"(?P<name>[^=&;?#]++)=(?P<value>[^&#]*+)|[^&;?#]++")
_PAIR = re.compile(r"(?:^|(?<=[\s;,{(]))[\"']?(?P<name>\w[\w.-]*+)[\"']?\s*+=\s*+")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*+(?:'|\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\Z)", re.DOTALL)
_BLANK = re.compile(r"\s")
_PASSWORD_COLON = re.compile(r":(?!//)")
_NAMED = re.compile(
    r"(?:(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|cookie|signature"
    r"|(?:api|access|private|secret|signing|scram_(?:client|server))[-_]?key)"
    r"(?:[\"'][ \t]{0,8}+:|[\"']?\s{0,8}+=)\s{0,8}+"
    r"|authorization[\"']?\s{0,8}+[:=]\s{0,8}+[\"']?(?:basic|bearer|negotiate|digest)\s{1,8}+)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\"|['\"][^\n]*+|[^\s&]++", re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Whether a header, setting or parameter of that name usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


def spans_in_text(text: str) -> list[Span]:
    """Secrets in any text: passwords of URLs, and values of names that say secret."""
    return _merged([*_in_urls(text), *_named(text)])


def spans_in_dsn(text: str) -> list[Span]:
    """Secrets in a text that is nothing but a connection string: a URL or ``key=value`` pairs, also one that nobody
    can read. There a password may also hold blanks, or end in the middle of a quote.
    """
    scheme = _SCHEME.match(text)
    own = _of_url(text, scheme["name"].lower(), scheme.end()) if scheme else _of_pairs(text)
    return _merged([*own, *_in_urls(text), *_named(text)])


def _of_url(text: str, scheme: str, start: int) -> Iterator[Span]:
    at = text.rfind("@", start)
    colon = text.find(":", start, max(at, start))
    if colon >= 0:
        yield colon + 1, at
    elif at > start and scheme in _TOKEN_SCHEMES and "/" not in text[start:at]:
        yield start, at
    query = text.find("?", start)
    if query >= 0:
        for match in _PARAMETER.finditer(text, query):
            if match["name"] is not None and is_secret_name(unquote(match["name"])):
                yield match.span("value")


def _of_pairs(text: str) -> Iterator[Span]:
    """As libpq reads them, and beyond it: a secret ends where the next key begins, whatever stands between."""
    at, secret_from, end = 0, -1, len(text.rstrip())
    while (pair := _PAIR.search(text, at)) is not None:
        if secret_from >= 0 and not _is_escaped(text, pair.start() - 1):
            yield secret_from, len(text[secret_from : pair.start()].rstrip()) + secret_from
            secret_from = -1
        if secret_from < 0 and is_secret_name(pair["name"]):
            secret_from = pair.end()
        at = _behind_value(text, pair.end(), is_secret=secret_from >= 0)
    if secret_from >= 0:
        yield secret_from, max(end, secret_from)


def _behind_value(text: str, start: int, *, is_secret: bool) -> int:
    """From where on the next key may begin."""
    quoted = _QUOTED.match(text, start)
    if quoted is None:
        return start + 1
    is_whole = quoted.end() == len(text) or text[quoted.end()] in " \t\r\n;,})"
    return quoted.end() if is_whole and (is_secret or quoted[0][-1] == quoted[0][0]) else start + 1


def _is_escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands before ``at``."""
    begin = at
    while begin > 0 and text[begin - 1] == "\\":
        begin -= 1
    return (at - begin) % 2 == 1


def _in_urls(text: str) -> Iterator[Span]:
    """Passwords of URLs in a text: all of a word up to its last ``@``."""
    at = 0
    while (at := text.find("://", at)) >= 0:
        start, blank = at + 3, _BLANK.search(text, at)
        end = blank.start() if blank else len(text)
        last = text.rfind("@", start, end)
        colon = _PASSWORD_COLON.search(text, start, max(last, start))
        if colon is not None:
            yield colon.end(), last
        elif last > start and text[max(0, at - 8) : at].lower().endswith(_TOKEN_SCHEMES):
            slash = text.find("/", start, last)
            if slash < 0:
                yield start, last
        at = end


def _named(text: str) -> Iterator[Span]:
    at = 0
    while (name := _NAMED.search(text, at)) is not None:
        value = _VALUE.match(text, name.end())
        at = value.end() if value else name.end()
        if value:
            yield value.span()


def _merged(spans: Iterable[Span]) -> list[Span]:
    """In order; those that overlap are one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
