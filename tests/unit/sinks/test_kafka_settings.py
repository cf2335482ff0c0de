"""The document part of the kafka sink."""

import ctypes
import re
import tempfile
from pathlib import Path

import confluent_kafka
import pytest
from pydantic import ValidationError

from deltaforge.core.errors import SpecError
from deltaforge.sinks.base import ProgressStore
from deltaforge.sinks.kafka import KafkaSinkConfig, KafkaSinkSpec
from deltaforge.sinks.kafka.exactly_once import ExactlyOnceKafkaSink
from deltaforge.sinks.kafka.settings import ALLOWED, RUNS_CODE, faults_of
from deltaforge.sinks.kafka.writer import KafkaSink
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


def queue_kbytes(**client_conf):
    conf = {name.replace("_", "."): value for name, value in client_conf.items()}
    return config(client_conf=conf).producer_settings()["queue.buffering.max.kbytes"]


@pytest.mark.parametrize(
    ("largest", "expected"), [(1_000_000, "16384"), (16_777_217, "16385"), (1_000_000_000, "976563")]
)
def test_the_largest_message_fits_into_the_queue_of_the_client(largest, expected):
    assert queue_kbytes() == "16384"
    assert queue_kbytes(message_max_bytes=largest) == expected
    assert queue_kbytes(message_max_bytes=largest, queue_buffering_max_kbytes=1_000_000) == "1000000"


def test_a_queue_smaller_than_one_message_is_refused():
    with pytest.raises(ValidationError, match=r"queue\.buffering\.max\.kbytes = 1000 .* make it 19532 or more"):
        queue_kbytes(message_max_bytes=20_000_000, queue_buffering_max_kbytes=1000)


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


def test_exactly_once_makes_a_transactional_producer():
    settings = config(exactly_once=True).producer_settings("pipe")
    assert settings["transactional.id"] == "deltaforge-pipe-k"
    assert settings["transaction.timeout.ms"] == "60000"
    assert settings["acks"] == "all"
    assert "transactional.id" not in config().producer_settings("pipe")


@pytest.mark.parametrize(("send_timeout_secs", "expected"), [(1, "60000"), (100, "200000"), (10_000, "900000")])
def test_a_transaction_may_last_longer_than_the_sink_waits(send_timeout_secs, expected):
    settings = config(exactly_once=True, send_timeout_secs=send_timeout_secs).producer_settings("p")
    assert settings["transaction.timeout.ms"] == expected


def test_the_transactional_id_may_be_chosen():
    chosen = {"transactional.id": "mine", "transaction.timeout.ms": 5000, "acks": -1}
    settings = config(exactly_once=True, client_conf=chosen).producer_settings("p")
    assert (settings["transactional.id"], settings["transaction.timeout.ms"]) == ("mine", "5000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", 1),
        ("request.required.acks", 0),
        ("enable.idempotence", False),
        ("max.in.flight", 6),
        ("queuing.strategy", "lifo"),
        ("transactional.id", ""),
        ("transaction.timeout.ms", "1m"),
    ],
)
def test_client_settings_that_contradict_exactly_once_are_refused(name, value):
    with pytest.raises(ValidationError, match=re.escape(name)):
        config(exactly_once=True, client_conf={name: value})


@pytest.mark.parametrize(("exactly_once", "sink"), [(True, ExactlyOnceKafkaSink), (False, KafkaSink)])
def test_the_document_chooses_the_sink(exactly_once, sink):
    spec = KafkaSinkSpec.model_validate({"type": "kafka", "config": SMALLEST | {"exactly_once": exactly_once}})
    built = spec.build(context())
    assert type(built) is sink
    assert isinstance(built, ProgressStore) is exactly_once


def refused(**client_conf):
    return dict(
        faults_of(config(client_conf={name.replace("_", "."): v for name, v in client_conf.items()}).client_conf)
    )


@pytest.mark.parametrize("name", sorted(RUNS_CODE))
def test_settings_that_run_code_are_refused_for_everybody(name):
    settings = SMALLEST | {"client_conf": {name: "x"}}
    assert "runs a command" in refused(**{name: "x"})[name]
    with pytest.raises(SpecError, match=re.escape(name)):
        KafkaSinkSpec.model_validate({"type": "kafka", "config": settings}).build(context())


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    assert refused(lingr_ms=5)["lingr.ms"].endswith("near: linger.ms")
    assert "no setting" in refused(group_id="x")["group.id"]
    assert "no setting" in refused(test_mock_num_brokers=3)["test.mock.num.brokers"]


@pytest.mark.parametrize("value", ["x; touch /tmp/a", "$(id)", "a b", '"', "`id`", "a\nb"])
def test_what_kinit_is_run_with_cannot_be_a_command(value):
    for name in ("sasl.kerberos.principal", "sasl.kerberos.service.name", "sasl.kerberos.keytab"):
        assert "command" in refused(**{name: value})[name]
    assert refused(**{"sasl.kerberos.principal": "kafka/host.example@REALM"}) == {}


NOT_FOR_DOCUMENTS = """
    background_event_cb builtin.features closesocket_cb connect_cb default_topic_conf delivery.report.only.error dr_cb
    dr_msg_cb enabled_events error_cb internal.termination.signal log.queue log_cb msg_order_cmp oauthbearer_token_refresh_cb opaque open_cb
    partitioner_cb produce.offset.report resolve_cb socket_cb ssl.ca.certificate.stores ssl.certificate.verify_cb
    ssl_ca ssl_certificate ssl_engine_callback_data ssl_key stats_cb throttle_cb
"""


def test_every_setting_that_the_bundled_library_has_for_producers_is_decided():
    known = producer_settings_of_the_library()
    assert known - ALLOWED - RUNS_CODE == set(NOT_FOR_DOCUMENTS.split())
    assert known >= ALLOWED | RUNS_CODE


def producer_settings_of_the_library():
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library, libc = ctypes.CDLL(str(next(folder.glob("librdkafka*")))), ctypes.CDLL(None)
    libc.fopen.restype, libc.fclose.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    library.rd_kafka_conf_properties_show.argtypes = [ctypes.c_void_p]
    with tempfile.NamedTemporaryFile() as found:
        file = libc.fopen(found.name.encode(), b"w")
        library.rd_kafka_conf_properties_show(file)
        libc.fclose(file)
        rows = [line.split("|") for line in Path(found.name).read_text().splitlines() if line.count("|") > 3]
    return {row[0].strip() for row in rows if row[1].strip() in ("P", "*")}
