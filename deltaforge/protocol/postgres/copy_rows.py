r"""Rows of ``COPY … TO STDOUT`` as inserts of pgoutput: the server prints values in both in the same way, and from here
on copied rows are decoded as those of the log.

Shape: values between tabs, a line feed at the end; ``\N`` is null; tab, line feed, backslash and some other control
characters are a backslash and a letter.

Source: PostgreSQL manual, "COPY", Text Format; ``CopyAttributeOutText`` in ``copyto.c``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from deltaforge.core.errors import ProtocolError

_ESCAPES = {b"\\": b"\\", b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_ESCAPED = re.compile(rb"\\(.?)", re.DOTALL)


def insert_of_copied(line: bytes, relation: int, column_count: int) -> bytes:
    """The insert message, without its frame, of one row of COPY.

    Args:
        line: With its line feed.
        relation: The oid that the log has for its table.
        column_count: Of each row.

    Raises:
        ProtocolError: It is no such row.
    """
    values = _values(line, column_count)
    head = b"I" + struct.pack(">I", relation) + b"N" + struct.pack(">H", column_count)
    return head + b"".join(b"n" if value is None else b"t" + struct.pack(">I", len(value)) + value for value in values)


def _values(line: bytes, column_count: int) -> Sequence[bytes | None]:
    texts = line[:-1].split(b"\t") if column_count else []
    if line[-1:] != b"\n" or b"\n" in line[:-1] or len(texts) != column_count or (not column_count and len(line) > 1):
        raise ProtocolError(f"a row of COPY that has not {column_count} values")
    try:
        return [
            None if text == rb"\N" else _ESCAPED.sub(lambda found: _ESCAPES[found[1]], text) if b"\\" in text else text
            for text in texts
        ]
    except KeyError:
        raise ProtocolError(f"a row of COPY that has not {column_count} values") from None
