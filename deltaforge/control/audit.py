"""Who changed what: JSON lines in the state folder, bounded in size.

What was done and what was refused are two files: nobody without a token can push out what was done.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 8 << 20
KEPT_FILES = 4
"""Files of each kind: the present one and those before it."""


class AuditLog:
    """Appends to ``changes.jsonl`` and ``refused.jsonl`` below a folder of its own.

    A line that cannot be written is logged as an error and stops nobody: a full disk must not keep an operator from
    stopping a pipeline.

    Args:
        folder: Made when missing, closed to everybody else.
        max_bytes: Of one file.
        kept: How many files of each kind there may be.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_FILE_BYTES, kept: int = KEPT_FILES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._kept = kept
        self._key: bytes | None = None

    def changed(self, entry: dict[str, Any]) -> None:
        """Note a request that may have changed something."""
        self._append("changes", entry)

    def refused(self, entry: dict[str, Any]) -> None:
        """Note a request that nobody was allowed to make."""
        self._append("refused", entry)

    def hash_of(self, document: Any) -> str:
        """Tells documents apart, secrets included, and tells nothing of them: a hash with a key that stays here."""
        try:
            key = self._key = self._key or self._read_key()
        except OSError as exc:
            log.error("the key of the audit log cannot be read: %s", exc.strerror)  # noqa: TRY400 - it says all there is
            return ""
        return hmac.new(key, msgspec.json.encode(document), hashlib.sha256).hexdigest()

    def _append(self, kind: str, entry: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, **entry}, ensure_ascii=True).encode() + b"\n"
        path = self._folder / f"{kind}.jsonl"
        try:
            self._make_folder()
            self._make_room(path, len(line))
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab") as file:
                file.write(line)
        except OSError as exc:
            log.error("the audit log cannot be written: %s", exc.strerror)  # noqa: TRY400 - it says all there is

    def _make_room(self, path: Path, count: int) -> None:
        if not path.exists() or path.stat().st_size + count <= self._max_bytes:
            return
        for number in range(self._kept - 1, 1, -1):
            older = path.with_suffix(f".jsonl.{number - 1}")
            if older.exists():
                older.replace(path.with_suffix(f".jsonl.{number}"))
        path.replace(path.with_suffix(".jsonl.1"))

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _read_key(self) -> bytes:
        path = self._folder / "key"
        self._make_folder()
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
        return path.read_bytes()
