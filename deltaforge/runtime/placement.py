"""On which worker Bytewax places what, as its version 0.21 does. For what is faster at one place, and right at any."""

from __future__ import annotations

import itertools
from collections.abc import Collection

_MASK = (1 << 64) - 1


def worker_of_part(part: str, parts: Collection[str], worker_count: int) -> int:
    """Of a partition of a source or sink: in the order of their keys, around."""
    return sorted(parts).index(part) % worker_count


def worker_of_key(key: str, worker_count: int) -> int:
    """Of a key of a step with a state: by the hash that Rust has for strings, SipHash 1-3 without a secret."""
    return _sip_hash(key.encode() + b"\xff") % worker_count


def key_at(key: str, worker: int, worker_count: int) -> str:
    """A key that is placed on a worker: this one, or one that is made of it."""
    candidates = (f"{key}~{number}" if number else key for number in itertools.count())
    return next(candidate for candidate in candidates if worker_of_key(candidate, worker_count) == worker)


def _sip_hash(data: bytes) -> int:
    state = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    data += bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8], "little")
        a, b, c, d = _round(state[0], state[1], state[2], state[3] ^ word)
        state = a ^ word, b, c, d
    state = state[0], state[1], state[2] ^ 0xFF, state[3]
    for _ in range(3):
        state = _round(*state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a, c = a + b & _MASK, c + d & _MASK
    b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
    a, c = _turned(a, 32) + d & _MASK, c + b & _MASK
    b, d = _turned(b, 17) ^ c, _turned(d, 21) ^ a
    return a, b, _turned(c, 32), d


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK
