"""Rows of COPY become inserts of pgoutput: those of the kernel are those of Python, and both refuse the same bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deltaforge.core.errors import ProtocolError
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.postgres.copy_rows import insert_of_copied
from deltaforge.protocol.postgres.messages import Insert, decode_message

ESCAPES = {b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\v": b"\\v"}
VALUES = (
    st.none()
    | st.binary()
    | st.lists(st.sampled_from([b"\\", b"\t", b"\n", b"N", b"x" * 7, b"\0", b"."])).map(b"".join)
)


def copied(values):
    """A row as the server writes it (``CopyAttributeOutText``)."""
    texts = (
        rb"\N" if value is None else b"".join(ESCAPES.get(bytes([byte]), bytes([byte])) for byte in value)
        for value in values
    )
    return b"\t".join(texts) + b"\n"


@given(st.lists(VALUES, max_size=9))
def test_a_row_of_copy_is_the_insert_of_its_values(values):
    message = insert_of_copied(copied(values), 77, len(values))
    assert decode_message(message) == Insert(77, values)
    if kernel is not None:
        block = kernel.insert_messages([copied(values)] * 2, 77, len(values))
        assert [block.message(n) for n in range(block.count)] == [b"w" + bytes(24) + message] * 2
        assert block.byte_count == 2 * len(message)


@given(
    st.binary() | st.lists(st.sampled_from([b"\\", b"\t", b"\n", b"N", b"x", b"abcdefgh"])).map(b"".join),
    st.integers(0, 4),
)
@example(b"\\Nx\t\\N\n", 2)
@example(b"\\", 1)
@example(b"12345678", 1)
@example(b"a\tb", 2)
@example(b"\n", 0)
@example(b"\n\n", 0)
def test_other_bytes_are_refused(line, column_count):
    try:
        expected = insert_of_copied(line, 7, column_count)
    except ProtocolError:
        expected = None
    if kernel is None:
        return
    if expected is None:
        with pytest.raises(ProtocolError):
            kernel.insert_messages([line], 7, column_count)
    else:
        assert kernel.insert_messages([line], 7, column_count).message(0)[25:] == expected
