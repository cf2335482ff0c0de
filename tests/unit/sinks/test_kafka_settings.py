"""The document part of the kafka sink."""

import pytest
from pydantic import ValidationError

from deltaforge.core.errors import SpecError
from deltaforge.sinks.kafka import KafkaSinkConfig, KafkaSinkSpec
from deltaforge.testing.sink_contract import context

SMALLEST = {"id": "k", "brokers": "b:9092", "topic": "orders"}


def config(**settings):
    return KafkaSinkConfig.model_validate(SMALLEST | settings)


def test_the_producer_is_safe_by_default():
    settings = config().producer_settings()
    assert settings["bootstrap.servers"] == "b:9092"
    assert settings["client.id"] == "deltaforge-k"
    assert settings["enable.idempotence"] == "true"
    assert settings["acks"] == "all"
    assert settings["compression.type"] == "lz4"


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("acks", 1, "acks"),
        ("request.required.acks", 1, "acks"),
        ("delivery.timeout.ms", 5000, "message.timeout.ms"),
        ("queue.buffering.max.ms", 0, "linger.ms"),
        ("linger.ms", 0, "linger.ms"),
        ("compression.codec", "zstd", "compression.type"),
        ("metadata.broker.list", "c:1", "bootstrap.servers"),
        ("enable.idempotence", False, "enable.gapless.guarantee"),
    ],
)
def test_client_settings_win_under_either_name(name, value, hidden):
    settings = config(client_conf={name: value}).producer_settings()
    assert settings[name] == str(value).lower()
    assert hidden == name or hidden not in settings


def test_client_secrets_do_not_show():
    secret = config(client_conf={"sasl.password": "hunter2", "ssl.key.password": "hunter2", "linger.ms": 1})
    assert secret.producer_settings()["sasl.password"] == "hunter2"
    assert "hunter2" not in secret.model_dump_json() + repr(secret)
    assert '"linger.ms":"1"' in secret.model_dump_json()


@pytest.mark.parametrize(
    "settings",
    [
        {"brokers": ""},
        {"topic": ""},
        {"topic": "a.${"},
        {"key": "${}"},
        {"send_timeout_secs": 0},
        {"client_conf": "x"},
        {"client_conf": {"a": [1]}},
        {"topics": "x"},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        config(**settings)


def test_exactly_once_is_known_and_refused_when_built():
    spec = KafkaSinkSpec.model_validate({"type": "kafka", "config": SMALLEST | {"exactly_once": True}})
    with pytest.raises(SpecError, match="exactly_once"):
        spec.build(context())
