"""Recorded logs of real servers become the bytes that they became when they were recorded."""

import pytest

from tests.corpus.expected import differences, expected_of, written
from tests.corpus.recording import names


@pytest.mark.parametrize("is_pure", [False, True], ids=["kernel", "pure"])
@pytest.mark.parametrize("name", names())
def test_bytes_are_those_of_the_recording(name, is_pure, tmp_path, redis_server):
    expected = expected_of(name)
    found = written(name, tmp_path, redis_server, is_pure=is_pure, expected=expected)
    assert not (told := differences(found, expected)), "\n".join(told)
