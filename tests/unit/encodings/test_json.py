"""JSON values: one line, exact numbers, and errors that keep the value to themselves."""

from decimal import Decimal

import msgspec
import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.errors import RecordError
from deltaforge.core.json_text import encode_json
from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.testing.fakes import make_batch, make_event

ENCODER = JsonEncoder(NativeEnvelope())


def with_row(row):
    return msgspec.structs.replace(make_event(1, 2), after=row)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_numbers_are_written_exactly():
    numbers = [2**64 - 1, -(2**63), Decimal(2**64), Decimal("0.1000"), Decimal("-1E-400"), 0.1, 1e300]
    assert encode_json(numbers) == (
        b"[18446744073709551615,-9223372036854775808,18446744073709551616,0.1000,-1E-400,0.1,1e300]"
    )


def test_a_value_is_one_line():
    assert ENCODER.encode(with_row({"a\n": "b\r\nc"})).count(b"\n") == 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("secret\ud800", "not valid Unicode"),
        ({"\udfff": 1}, "not valid Unicode"),
        (nested(100_000), "nested too deeply"),
        (1 + 2j, "without a JSON form"),
    ],
    ids=["text", "name", "depth", "type"],
)
def test_what_has_no_json_form_is_an_error_of_the_event(value, reason):
    with pytest.raises(RecordError, match=reason) as caught:
        ENCODER.encode(with_row({"id": 1, "v": value}))
    assert (caught.value.kind, caught.value.index) == ("serialization", 0)
    assert "secret" not in str(caught.value)
    assert "public.t" in str(caught.value)


def test_a_time_out_of_range_is_an_error_of_the_event():
    from deltaforge.envelopes.cloudevents import CloudEventsEnvelope

    encoder = JsonEncoder(CloudEventsEnvelope("a", include_nulls=False))
    with pytest.raises(RecordError):
        encoder.encode(msgspec.structs.replace(make_event(1, 2), ts_ms=2**60))


def test_a_batch_says_which_of_its_events_is_bad_and_remembers_no_half_result():
    batch = make_batch(1, event_count=3)
    bad = Batch([*batch.events(), with_row({"v": "\ud800"})], batch.position)
    for _ in range(2):
        with pytest.raises(RecordError) as caught:
            bad.encoded(ENCODER)
        assert caught.value.index == 3


def test_equal_encoders_share_the_values_of_a_batch():
    batch = make_batch(1, event_count=3)
    assert batch.encoded(ENCODER) is batch.encoded(JsonEncoder(NativeEnvelope()))
