"""The ``envelope`` part of a document."""

import pytest
from pydantic import TypeAdapter, ValidationError

from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import build_encoder
from deltaforge.envelopes.spec import AnyEnvelope
from deltaforge.testing.fakes import make_event

ADAPTER = TypeAdapter(AnyEnvelope)


@pytest.mark.parametrize("name", ["native", "debezium"])
def test_a_bare_name_is_the_envelope_without_settings(name):
    assert ADAPTER.validate_python(name) == ADAPTER.validate_python({"type": name})


@pytest.mark.parametrize(
    "document", ["cloudevents", {"type": "cloudevents"}, {"type": "cloudevents", "type_prefix": ""}, "raw", {}, 1,
                 {"type": "native", "type_prefix": "x"}]
)  # fmt: skip
def test_what_is_not_an_envelope_is_refused(document):
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(document)


def test_envelopes_of_different_documents_have_different_identities():
    documents = [
        "native", "debezium", {"type": "cloudevents", "type_prefix": "a"}, {"type": "cloudevents", "type_prefix": "b"},
        {"type": "cloudevents", "type_prefix": "a", "include_nulls": True},
    ]  # fmt: skip
    encoders = [build_encoder(ADAPTER.validate_python(document), JsonEncodingSpec()) for document in documents]
    assert len({encoder.identity for encoder in encoders}) == len(
        {encoder.encode(make_event(1, 2)) for encoder in encoders}
    )


def test_a_cloudevent_without_event_id_is_identified_by_its_idempotency_key():
    spec = ADAPTER.validate_python({"type": "cloudevents", "type_prefix": "a"})
    assert spec.build().document(make_event(1, 2)).id == "_|app.t||_"
