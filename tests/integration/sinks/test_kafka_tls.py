"""The kafka sink over TLS."""

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import context, deliver, numbered_batch
from tests.fixtures.kafka_tls import self_signed, tls_properties


@pytest.fixture
def tls(private_kafka, tmp_path):
    """Bootstrap servers of a broker with TLS, and a file with its certificate."""
    key, certificate = self_signed()
    broker = private_kafka(*tls_properties(key, certificate))
    authority = tmp_path / "ca.pem"
    authority.write_text(certificate)
    return broker.bootstrap, authority


def make_sink(bootstrap, **client_conf):
    config = {"id": "s", "brokers": bootstrap, "topic": "t", "send_timeout_secs": 10, "client_conf": client_conf}
    return KafkaSinkSpec.model_validate({"type": "kafka", "config": config}).build(context())


def test_a_trusted_certificate_is_welcome(tls):
    bootstrap, authority = tls
    sink = make_sink(bootstrap, **{"security.protocol": "ssl", "ssl.ca.location": str(authority)})
    assert deliver(sink, [numbered_batch(1)], is_open=False) == []
    sink.close()


def test_a_certificate_that_nobody_vouches_for_is_an_auth_error(tls):
    bootstrap, _ = tls
    sink = make_sink(bootstrap, **{"security.protocol": "ssl"})
    with pytest.raises(SinkError, match="certificate") as caught:
        sink.open()
    sink.close()
    assert caught.value.kind == "auth"
