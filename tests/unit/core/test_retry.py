import random

import pytest

from deltaforge.core.errors import (
    DeltaForgeError,
    PositionLostError,
    ProtocolError,
    RecordError,
    SinkError,
    SourceError,
    SpecError,
)
from deltaforge.core.retry import Backoff, Retry, retry_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceError("x", kind="connect"), Retry.BACKOFF),
        (SinkError("x", kind="timeout"), Retry.BACKOFF),
        (SourceError("x", kind="auth"), Retry.OPERATOR),
        (SinkError("x", kind="fatal"), Retry.NEVER),
        (SinkError("x", kind="never heard of"), Retry.OPERATOR),
        (PositionLostError("x", kind="connect"), Retry.NEVER),
        (ProtocolError("x", offset=3), Retry.OPERATOR),
        (RecordError("x", index=0, kind="io"), Retry.OPERATOR),
        (SpecError("x"), Retry.OPERATOR),
        (DeltaForgeError("x"), Retry.OPERATOR),
        (RuntimeError("x"), Retry.OPERATOR),
    ],
)
def test_policy_of_each_kind(error, expected):
    assert retry_of(error) is expected


def test_backoff_doubles_up_to_its_limit_and_ends_after_its_attempts():
    delays = list(Backoff(initial_secs=1, max_secs=5, jitter=0, attempts=5).delays(random.Random(1)))
    assert delays == [1, 2, 4, 5, 5]


def test_backoff_jitter_stays_in_its_range():
    delays = Backoff(initial_secs=10, max_secs=10, jitter=0.2).delays(random.Random(1))
    assert all(8 <= next(delays) <= 12 for _ in range(200))


def test_error_text_ends_with_the_remedy():
    assert str(SourceError("cannot read", hint="grant it")) == "cannot read (grant it)"
    assert str(ProtocolError("short row", offset=12)) == "short row at byte 12"
    assert str(SpecError("is missing", path="spec.source")) == "spec.source: is missing"
