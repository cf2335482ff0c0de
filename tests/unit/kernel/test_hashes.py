"""The kernel's hashes are those of hashlib."""

import hashlib

import pytest

from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.records.masking import HASHES

pytestmark = pytest.mark.skipif(kernel is None, reason=description)
LENGTHS = (*range(300), 1000, 5000)
"""Around the blocks of all of them, which have 64 to 144 bytes."""


@pytest.mark.parametrize("name", sorted(set(HASHES.values())))
def test_a_hash_is_that_of_hashlib(name):
    data = bytes(n * 7 % 251 for n in range(max(LENGTHS)))
    for length in LENGTHS:
        expected = hashlib.new(name, data[:length], usedforsecurity=False).digest()
        assert kernel.hash_of(name, data[:length]) == expected, length
