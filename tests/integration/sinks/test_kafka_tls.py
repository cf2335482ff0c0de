"""The kafka sink over TLS."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import context, deliver, numbered_batch


def self_signed():
    """A PEM key and a PEM certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode(), certificate.public_bytes(pem).decode()


@pytest.fixture
def tls(private_kafka, tmp_path):
    """Bootstrap servers of a broker with TLS, and a file with its certificate."""
    key, certificate = self_signed()
    broker = private_kafka(
        "listener.security.protocol.map=DIRECT:SSL,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "ssl.keystore.type=PEM",
        "ssl.keystore.key=" + key.replace("\n", "\\n"),
        "ssl.keystore.certificate.chain=" + certificate.replace("\n", "\\n"),
        "ssl.truststore.type=PEM",
        "ssl.truststore.certificates=" + certificate.replace("\n", "\\n"),
    )
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
