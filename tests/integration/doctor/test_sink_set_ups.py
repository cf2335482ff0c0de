"""Sinks, disks and state folders that are broken for real: the examination finds each of them."""

import fcntl
from contextlib import contextmanager

import pytest
import redis
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.fixtures.fix_kafka import start_broker
from tests.pipelines import file_sink
from tests.set_ups import expect, kafka_sink, redis_sink


@contextmanager
def configured(client, **settings):
    before = {name: client.config_get(name.replace("_", "-")) for name in settings}
    for name, value in settings.items():
        client.config_set(name.replace("_", "-"), value)
    try:
        yield
    finally:
        for found in before.values():
            for name, value in found.items():
                client.config_set(name, value)


REDIS = {
    "no right to add": ({}, "acl", "redis.write", "error", "NOPERM"),
    "a server that is full": ({"maxmemory": "1"}, "", "redis.write", "error", "OOM"),
    "too few replicas": ({"min_replicas_to_write": "1"}, "", "redis.write", "error", "NOREPLICAS"),
    "a key that is no stream": ({}, "text", "redis.type", "error", "is a string"),
    "entries that are on no disk": ({"appendonly": "no"}, "", "redis.durability", "warning", "appendonly is no"),
    "a server that throws streams away": (
        {"maxmemory": "1gb", "maxmemory_policy": "allkeys-lru"}, "", "redis.eviction", "warning", "allkeys-lru",
    ),
    "a wrong password": ({}, "password", "redis.connect", "error", "WRONGPASS"),
    "TLS where there is none": ({}, "tls", "redis.connect", "error", "is Redis, not"),
    "keys that deletes do not have": ({}, "key", "redis.key", "warning", "after.id"),
}  # fmt: skip


@pytest.mark.parametrize("name", REDIS)
def test_a_broken_sink_of_redis_is_found(sink_case, redis_server, name):
    settings, how, check, level, text = REDIS[name]
    stream, host = f"s_{sink_case.database.name}", f"{redis_server.host}:{redis_server.port}"
    with redis.Redis(host=redis_server.host, port=redis_server.port, decode_responses=True) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+pass"], commands=["+@all", "-xadd"], keys=["*"])
        if how == "text":
            client.set(stream, "x")
        uri = {"acl": f"redis://reader:pass@{host}", "password": f"redis://reader:no@{host}", "tls": f"rediss://{host}"}
        more = {"key": "${after.id}"} if how == "key" else {}
        sink_case.sinks = [redis_sink(redis_server, stream, uri=uri.get(how), **more)]
        with configured(client, **settings):
            expect(sink_case, check, level, text)
        client.acl_deluser("reader")
        assert client.exists(stream) == (how == "text")


@pytest.fixture(scope="module")
def strict_kafka(server_room):
    """A broker that makes no topics, allows short transactions only, and knows rights."""
    broker = start_broker(
        server_room,
        "auto.create.topics.enable=false",
        "transaction.max.timeout.ms=1000",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found=true",
    )
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    configs = {"plain": {}, "isr": {"min.insync.replicas": "2"}, "small": {"max.message.bytes": "1000"}, "denied": {}}
    topics = [NewTopic(name, 1, 1, config=config) for name, config in configs.items()]
    for future in admin.create_topics(topics).values():
        future.result(20)
    denied = AclBinding(
        ResourceType.TOPIC, "denied", ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.WRITE,
        AclPermissionType.DENY,
    )  # fmt: skip
    allowed = AclBinding(
        ResourceType.TOPIC, "denied", ResourcePatternType.LITERAL, "User:*", "*", AclOperation.ALL,
        AclPermissionType.ALLOW,
    )  # fmt: skip
    for future in admin.create_acls([denied, allowed]).values():
        future.result(20)
    yield broker
    server_room.end(broker.process)


KAFKA = {
    "a topic that nobody makes": ("nowhere", {}, "kafka.topic", "error", "topic nowhere is not there"),
    "topics of tables that nobody makes": ("${source.table}", {}, "kafka.topic", "warning", "make no topics"),
    "too few replicas": ("isr", {}, "kafka.replicas", "error", "min.insync.replicas is 2"),
    "messages that are too large": ("small", {}, "kafka.size", "warning", "1000 bytes"),
    "no right to write": ("denied", {}, "kafka.rights", "error", "may not write"),
    "transactions that take too long": (
        "plain", {"exactly_once": True}, "kafka.transactions", "error", "transactions may take 1000 ms",
    ),
    "rows that one broker acknowledges": ("plain", {"client_conf": {"acks": "1"}}, "kafka.acks", "warning", "acks = 1"),
    "TLS where there is none": (
        "plain", {"client_conf": {"security.protocol": "ssl"}}, "kafka.connect", "error", "kafka",
    ),
    "brokers that do not answer": ("plain", {"brokers": "127.0.0.1:1"}, "kafka.connect", "error", "127.0.0.1:1"),
    "a topic that is not as it would be made": (
        "small", {"topic_creation": {"partitions": 3}}, "kafka.settings", "warning", "partitions = 1",
    ),
    "keys that deletes do not have": ("plain", {"key": "${after.id}"}, "kafka.key", "warning", "after.id"),
}  # fmt: skip


@pytest.mark.parametrize("name", KAFKA)
def test_a_broken_sink_of_kafka_is_found(sink_case, strict_kafka, name):
    topic, config, check, level, text = KAFKA[name]
    if config.get("client_conf", {}).get("acks"):
        config = {"client_conf": {"acks": "1", "enable.idempotence": "false"}}
    sink_case.sinks = [kafka_sink(strict_kafka, topic, **config)]
    if check == "kafka.connect":  # which is known when patience ends
        sink_case.patience_secs = 6
    expect(sink_case, check, level, text)


def test_a_healthy_broker_that_knows_rights(sink_case, strict_kafka):
    sink_case.sinks = [kafka_sink(strict_kafka, "plain")]
    assert sink_case.found() == []
    sink_case.sinks = [kafka_sink(strict_kafka, "nowhere", topic_creation={"config": {"cleanup.policy": "compact"}})]
    assert sink_case.found() == []


FILES = {
    "a folder that is not there": ("none/out.jsonl", "file.folder", "error", "is not there"),
    "a path that is a folder": ("folder", "file.path", "error", "is a folder"),
    "a file of somebody else": ("notes.txt", "file.owner", "error", "did not write"),
    "a file that another sink has open": ("open.jsonl", "file.reader", "error", "open in another sink"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_sink_of_a_file_is_found(sink_case, tmp_path, name):
    path, check, level, text = FILES[name]
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine\n")
    with (tmp_path / "open.jsonl").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        sink_case.sinks = [file_sink(tmp_path / path)]
        expect(sink_case, check, level, text)


def test_the_file_of_each_lane_is_looked_at(sink_case, tmp_path):
    sink_case.sinks = [file_sink(tmp_path / "out.jsonl")]
    sink_case.more = {"sharding": {"mode": "key", "count": 3}}
    (tmp_path / "out.jsonl").write_text("of somebody else, and not used\n")
    assert sink_case.found() == []
    (tmp_path / "out.2.jsonl").mkdir()
    (found,) = sink_case.found()
    assert (found.check, "out.2.jsonl is a folder" in found.what) == ("file.path", True)


def test_a_full_disk_is_found(sink_case, small_disk):
    small_disk.fill()
    sink_case.sinks = [file_sink(small_disk.folder / "out.jsonl")]
    expect(sink_case, "file.room", "error", "0 MiB are free")
    sink_case.folder = small_disk.folder
    expect(sink_case, "state.room", "error", "0 MiB are free")


def test_a_state_folder_that_is_none_is_found(sink_case, tmp_path):
    (tmp_path / "state").write_text("")
    expect(sink_case, "state.folder", "error", "is not a folder")


def test_spools_that_the_disk_has_no_room_for_are_found(sink_case, tmp_path):
    spool = {"max_bytes": 1 << 60}
    sink_case.sinks.append(file_sink(tmp_path / "more.jsonl", id="more", required=False, spool=spool))
    expect(sink_case, "state.spool", "warning", "spools may take")
