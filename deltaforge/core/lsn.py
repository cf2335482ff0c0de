"""PostgreSQL log sequence numbers: 64-bit byte offsets written as ``X/Y`` in hex."""

from __future__ import annotations

import re

from deltaforge.core.errors import CheckpointError

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def lsn_from_text(text: str) -> int:
    """``"0/16B6C50"`` as a number.

    Raises:
        CheckpointError: Not an LSN.
    """
    match = _LSN.fullmatch(text)
    if match is None:
        raise CheckpointError(f"not an LSN: {text[:40]!r}", hint="write it as two hex numbers, e.g. 0/16B6C50")
    return int(match[1], 16) << 32 | int(match[2], 16)


def text_from_lsn(lsn: int) -> str:
    """A number as ``X/Y``, the way PostgreSQL prints it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
