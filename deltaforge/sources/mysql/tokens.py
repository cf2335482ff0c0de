"""What a statement of MySQL is made of."""

from __future__ import annotations

from enum import Enum

import msgspec


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    OTHER = "other"


class Token(msgspec.Struct, frozen=True):
    """One token: a word as written, a name or a string without its quotes, or a symbol."""

    kind: Kind
    text: str
