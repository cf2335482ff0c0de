"""The ``encoding`` part of a document."""

import pytest
from pydantic import TypeAdapter, ValidationError

from deltaforge.core.errors import SpecError
from deltaforge.encodings.spec import AnyEncoding, build_encoder
from deltaforge.envelopes.cloudevents import CloudEventsEnvelopeSpec
from deltaforge.envelopes.native import NativeEnvelopeSpec

ADAPTER = TypeAdapter(AnyEncoding)


def test_json_may_be_a_bare_name():
    assert ADAPTER.validate_python("json") == ADAPTER.validate_python({"type": "json"})


def test_bare_avro_is_told_that_it_needs_a_registry():
    with pytest.raises(ValidationError, match="needs a schema registry URL"):
        ADAPTER.validate_python("avro")


AVRO = {
    "type": "avro", "schema_registry_url": "http://me:hidden1@r", "subject_strategy": "record_name", "username": "u",
    "password": "hidden2", "unsigned_bigint_mode": "long", "enum_mode": "enum", "naive_timestamp_mode": "timestamp",
    "ca_file": "/etc/ca.pem",
}  # fmt: skip


def test_avro_is_known_with_all_its_settings_and_shows_no_secret():
    spec = ADAPTER.validate_python(AVRO)
    assert "hidden" not in spec.model_dump_json() + repr(spec)
    assert [use.value for use in spec.local_uses()] == ["/etc/ca.pem"]
    assert build_encoder(NativeEnvelopeSpec(), spec).content_type == "application/avro"


def test_avro_of_an_envelope_without_records_is_refused():
    with pytest.raises(SpecError, match="no records of envelope cloudevents"):
        build_encoder(CloudEventsEnvelopeSpec(type="cloudevents", type_prefix="x"), ADAPTER.validate_python(AVRO))


@pytest.mark.parametrize("document", ["xml", {}, {"type": "avro"}, {"type": "json", "x": 1}, None])
def test_what_is_not_an_encoding_is_refused(document):
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(document)
