"""Bearer tokens and their roles: one from the environment, or many from a file that is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from deltaforge.core.errors import SpecError

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1 << 20
_HASHED = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HINT = "a line is role:name:token or role:name:sha256:HEX, with the role read, operate or admin"


class Role(IntEnum):
    """What a token may do; each one includes those before it."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True)
class Token:
    """A token as it is known: only its hash.

    Attributes:
        name: Of its holder, for the audit log.
        role: What it may do.
        digest: SHA-256 of the token.
    """

    name: str
    role: Role
    digest: bytes = field(repr=False)


class Tokens:
    """The tokens of a server.

    Args:
        single: A token with the role admin, such as that of ``DELTAFORGE_TOKEN``; ignored when there is a file.
        path: File of tokens. A change of it holds from the next request on; a change that cannot be read leaves the
            tokens as they were, and is logged.

    Raises:
        SpecError: The token or the file cannot be used.
    """

    def __init__(self, single: str | None = None, path: Path | None = None) -> None:
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._tokens: tuple[Token, ...] = ()
        if path is not None:
            self._stamp = _stamp(path)
            self._tokens = read_tokens(path)
        elif single:
            self._tokens = (Token("token", Role.ADMIN, _digest(_usable(single.strip(), "the token"))),)

    def __bool__(self) -> bool:
        """Whether requests need a token at all."""
        return bool(self._tokens)

    def find(self, given: str) -> Token | None:
        """The token of that text. Takes the same time whichever it is."""
        self._follow_file()
        digest, found = _digest(given), None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def _follow_file(self) -> None:
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = read_tokens(self._path)
        except SpecError as error:
            log.error("the tokens stay as they were: %s", error)  # noqa: TRY400 - it says all there is
        else:
            log.info("%d tokens were read again from %s", len(self._tokens), self._path)


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file: one token alone, which may do everything, or lines ``role:name:token``.

    Raises:
        SpecError: It cannot be read, others may write it, or a line is not understood; says which, and shows none.
    """
    try:
        check_owner_only(path, "token file")
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        lines = [line.strip() for line in text.decode().splitlines()]
    except (OSError, UnicodeDecodeError) as exc:
        raise SpecError(f"cannot read the token file {path}: {type(exc).__name__}") from exc
    if len(text) > MAX_FILE_BYTES:
        raise SpecError(f"the token file {path} is longer than {MAX_FILE_BYTES} bytes")
    used = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not used:
        raise SpecError(f"the token file {path} is empty")
    if len(used) == 1 and ":" not in used[0][1]:
        return (Token("token", Role.ADMIN, _digest(_usable(used[0][1], f"the token of {path}"))),)
    tokens = tuple(_token(line, f"{path}, line {number}") for number, line in used)
    if len({token.name for token in tokens}) < len(tokens) or len({token.digest for token in tokens}) < len(tokens):
        raise SpecError(f"the token file {path} has a name or a token twice")
    return tokens


def check_owner_only(path: Path, what: str) -> None:
    """Warn of a file with a secret that everybody may read, as containers hand them over.

    Raises:
        SpecError: Somebody else may write it.
        OSError: It is not there.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise SpecError(f"the {what} {path} is not a file")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SpecError(f"the {what} {path} can be written by others than its owner", hint=f"chmod 600 {path}")
    if mode & stat.S_IROTH:
        log.warning("the %s %s can be read by everybody on this machine: chmod 600 it", what, path)


def _token(line: str, place: str) -> Token:
    parts = line.split(":", 2)
    role = Role.__members__.get(parts[0].strip().upper())
    if len(parts) != 3 or role is None or not _NAME.fullmatch(parts[1].strip()):
        raise SpecError("not a role, a name and a token", path=place, hint=_HINT)
    text = parts[2].strip()
    hashed = _HASHED.fullmatch(text)
    digest = bytes.fromhex(hashed[1]) if hashed else _digest(_usable(text, place))
    return Token(parts[1].strip(), role, digest)


def _usable(text: str, place: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SpecError("a token is made of printable ASCII characters without spaces", path=place)
    return text


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
