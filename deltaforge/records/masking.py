"""What records hold instead of values that not everybody may read."""

from __future__ import annotations

import hashlib
import struct

HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384"} | {
    "SHA-512": "sha512", "SHA3-224": "sha3_224", "SHA3-256": "sha3_256", "SHA3-384": "sha3_384", "SHA3-512": "sha3_512",
}  # fmt: skip
"""Java's names, and Python's."""


def hash_name(algorithm: str) -> str | None:
    """Python's name of one of Java's hashes; None: it is not known."""
    return HASHES.get(algorithm.upper())


def hashed(algorithm: str, salt: str, text: str, *, is_serialized: bool = False) -> str:
    """The hash of salt and text, as hexadecimal digits.

    Args:
        algorithm: Java's name.
        salt: What is hashed first.
        text: What is hashed then.
        is_serialized: Whether the text is hashed as Java serializes it, as Debezium first did.

    Raises:
        ValueError: There is no such hash.
    """
    name = hash_name(algorithm)
    if name is None:
        raise ValueError(f"no hash {algorithm}")
    data = _serialized(text) if is_serialized else text.encode()
    return hashlib.new(name, salt.encode() + data, usedforsecurity=False).hexdigest()


def _serialized(text: str) -> bytes:
    """A text as Java's ``ObjectOutputStream`` writes it: UTF-8 of the units of UTF-16, and two bytes for a zero.

    Source: Java Object Serialization Specification, section 6.4.2, TC_STRING and TC_LONGSTRING.
    """
    units = text.encode("utf-16-be", "surrogatepass")
    letters = (chr(unit) for (unit,) in struct.iter_unpack(">H", units))
    data = b"".join(b"\xc0\x80" if letter == "\0" else letter.encode("utf-8", "surrogatepass") for letter in letters)
    is_short = len(data) <= _SHORT
    head = b"\x74" + len(data).to_bytes(2, "big") if is_short else b"\x7c" + len(data).to_bytes(8, "big")
    return b"\xac\xed\x00\x05" + head + data


_SHORT = 0xFFFF


def cut(text: str, length: int) -> str:
    """The beginning of a text, at most so many units of UTF-16 long; no letter is halved."""
    if len(text) <= length // 2:
        return text
    return text.encode("utf-16-le")[: 2 * length].decode("utf-16-le", "ignore")
