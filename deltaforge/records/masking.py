"""What records hold instead of values that not everybody may read."""

from __future__ import annotations

import hashlib

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384"} | {
    "SHA-512": "sha512", "SHA3-224": "sha3_224", "SHA3-256": "sha3_256", "SHA3-384": "sha3_384", "SHA3-512": "sha3_512",
}  # fmt: skip
"""Java's names, and Python's."""


def hash_name(algorithm: str) -> str | None:
    """Python's name of one of Java's hashes; None: it is not known."""
    return _HASHES.get(algorithm.upper())


def hashed(algorithm: str, salt: str, text: str) -> str:
    """The hash of salt and text, as hexadecimal digits.

    Raises:
        ValueError: There is no such hash.
    """
    name = hash_name(algorithm)
    if name is None:
        raise ValueError(f"no hash {algorithm}")
    return hashlib.new(name, salt.encode() + text.encode(), usedforsecurity=False).hexdigest()


def cut(text: str, length: int) -> str:
    """The beginning of a text, at most so many units of UTF-16 long; no letter is halved."""
    if len(text) <= length // 2:
        return text
    return text.encode("utf-16-le")[: 2 * length].decode("utf-16-le", "ignore")
