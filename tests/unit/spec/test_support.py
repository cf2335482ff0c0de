import pytest

from deltaforge.core.errors import SpecError
from deltaforge.spec import check_supported, parse_document

SOURCE, SINK = "spec/source/config", "spec/sinks/0/config"

REFUSED = [
    ("spec/processors", [{"type": "filter"}], "spec.processors[0].type"),
    ("spec/processors", [{"type": "flatten"}], "spec.processors[0].type"),
    ("spec/processors", [{"type": "outbox"}], "spec.processors[0].type"),
    ("spec/processors", [{"type": "javascript", "id": "j", "inline": "x"}], "spec.processors[0].type"),
    ("spec/processors", [{"type": "python", "id": "p", "inline": "x"}], "spec.processors[0].type"),
    (
        "spec/schema_sensing",
        {"enabled": True, "output": {"emit_events": True}},
        "spec.schema_sensing.output.emit_events",
    ),
    ("spec/sharding", {"mode": "hash", "count": 2}, "spec.sharding.mode"),
    ("spec/sharding", {"mode": "none", "count": 2}, "spec.sharding.count"),
    ("spec/sharding", {"mode": "source", "count": 2}, "spec.sharding.count"),
    ("spec/sharding", {"mode": "key", "count": 65}, "spec.sharding.count"),
    ("spec/sharding", {"mode": "table", "count": 2, "key": "id"}, "spec.sharding.key"),
    ("spec/connection_policy", {"default_mode": "shared"}, "spec.connection_policy.default_mode"),
    ("spec/connection_policy", {"preferred_replica": "r"}, "spec.connection_policy.preferred_replica"),
]


@pytest.mark.parametrize(("key", "value", "path"), REFUSED)
def test_what_this_version_cannot_do_is_valid_but_refused(put, key, value, path):
    spec = parse_document(put(key, value), strict=True).spec
    with pytest.raises(SpecError, match="in this version") as caught:
        check_supported(spec)
    assert caught.value.path == path


def test_transactions_are_not_numbered_over_several_lanes(put):
    envelope = {"type": "debezium", "dialect": "connect", "provide_transaction_metadata": True}
    sink = {"type": "kafka", "config": {"id": "k", "brokers": "h:1", "envelope": envelope}}
    document = put("spec/sinks", [sink])
    check_supported(parse_document(document, strict=True).spec)
    document["spec"]["sharding"] = {"mode": "table", "count": 2}
    with pytest.raises(SpecError, match="one lane") as caught:
        check_supported(parse_document(document, strict=True).spec)
    assert caught.value.path == "spec.sharding"


CONNECT = {"type": "debezium", "dialect": "connect"}


@pytest.mark.parametrize("settings", [{"tombstones": True}, {"split_key_changes": True}, {"envelope": CONNECT}])
def test_changes_of_keys_are_not_split_in_lanes_by_key(put, settings):
    config = {"id": "k", "brokers": "h:1", "topic": "t"} | settings
    document = put("spec/sinks", [{"type": "kafka", "config": config}])
    document["spec"]["sharding"] = {"mode": "key", "count": 2}
    with pytest.raises(SpecError, match="split_key_changes: false") as caught:
        check_supported(parse_document(document, strict=True).spec)
    assert caught.value.path == "spec.sinks[0].config"
    for allowed in ({"mode": "table", "count": 2}, {"mode": "key", "count": 1}):
        document["spec"]["sharding"] = allowed
        check_supported(parse_document(document, strict=True).spec)
    config["split_key_changes"], document["spec"]["sharding"] = False, {"mode": "key", "count": 2}
    check_supported(parse_document(document, strict=True).spec)


def test_a_given_key_is_not_that_of_a_row(put):
    config = {"id": "k", "brokers": "h:1", "topic": "t", "key": "k", "split_key_changes": True}
    with pytest.raises(SpecError, match="leave one of them out"):
        parse_document(put("spec/sinks", [{"type": "kafka", "config": config}]), strict=True)


REGISTRY = {"schema_registry_url": "http://r"}
UNFIT = [
    ({"type": "debezium"}, {"type": "json", "schemas": "inline"}, "dialect: connect"),
    ({"type": "native"}, {"type": "json", "replace_null_with_default": True}, "dialect: connect"),
    ({"type": "native"}, {"type": "avro", "replace_null_with_default": True, **REGISTRY}, "dialect: connect"),
    ({"type": "cloudevents", "type_prefix": "x"}, {"type": "avro", **REGISTRY}, "avro"),
    ({"type": "debezium"}, {"type": "avro", **REGISTRY}, "avro"),
]


@pytest.mark.parametrize(("envelope", "encoding", "text"), UNFIT)
def test_an_envelope_and_an_encoding_that_do_not_go_together_are_refused(put, envelope, encoding, text):
    config = {"id": "k", "brokers": "h:1", "topic": "t", "envelope": envelope, "encoding": encoding}
    spec = parse_document(put("spec/sinks", [{"type": "kafka", "config": config}]), strict=True).spec
    with pytest.raises(SpecError, match=text) as caught:
        check_supported(spec)
    assert caught.value.path == "spec.sinks[0].config.encoding"


@pytest.mark.parametrize("sink", [{"type": "file", "config": {"id": "f", "path": "/x"}}, {"type": "stdout"}])
def test_a_sink_without_topics_has_no_registry(put, sink):
    encoding = {"type": "avro", **REGISTRY}
    sink = {**sink, "config": {"id": "f", **sink.get("config", {}), "encoding": encoding}}
    with pytest.raises(SpecError, match="encoding: json") as caught:
        check_supported(parse_document(put("spec/sinks", [sink]), strict=True).spec)
    assert caught.value.path == "spec.sinks[0].config.encoding"


OTHER_SINKS = [
    {"type": "nats", "config": {"id": "s", "url": "nats://h", "subject": "x"}},
    {"type": "http", "config": {"id": "s", "url": "http://h/"}},
    {"type": "s3", "config": {"id": "s", "bucket": "b"}},
    {
        "type": "clickhouse",
        "config": {"id": "s", "url": "http://h", "database": "d", "table": "t", "mode": "upsert"},
    },
]


@pytest.mark.parametrize("sink", OTHER_SINKS, ids=lambda sink: sink["type"])
def test_sinks_that_are_not_built_are_valid_but_refused(put, sink):
    spec = parse_document(put("spec/sinks", [sink]), strict=True).spec
    with pytest.raises(SpecError, match=f"sinks of type `{sink['type']}`") as caught:
        check_supported(spec)
    assert caught.value.path == "spec.sinks[0].type"


ALLOWED = [
    (f"{SINK}/exactly_once", True),
    (f"{SOURCE}/snapshot", {}),
    (f"{SOURCE}/snapshot", {"mode": "always", "intra_table_parallel": True}),
    (f"{SOURCE}/on_schema_drift", "halt"),
    ("spec/commit_policy", {"mode": "all"}),
    ("spec/commit_policy", {"mode": "quorum", "quorum": 1}),
    (f"{SINK}/start", "earliest"),
    (f"{SINK}/spool", {"max_bytes": 1, "on_full": "detach"}),
    ("spec/schema_sensing", {"enabled": True, "sampling": {"sample_rate": 5}}),
    ("spec/journal", {"enabled": False}),
    ("spec/journal", {"enabled": True, "dlq": {"overflow_policy": "block"}}),
    ("spec/sharding", {"mode": "none"}),
    ("spec/sharding", {"mode": "source", "count": 1}),
    ("spec/sharding", {"mode": "table", "count": 64}),
    ("spec/sharding", {"mode": "key", "count": 3, "key": "customer_id"}),
    ("spec/connection_policy", {"default_mode": "dedicated"}),
    ("spec/sink_batch_deadline_secs", 10),
]


@pytest.mark.parametrize(("key", "value"), ALLOWED)
def test_what_changes_nothing_is_not_refused(put, key, value):
    assert check_supported(parse_document(put(key, value), strict=True).spec) is None


def test_all_refusals_are_listed(put):
    put("spec/connection_policy", {"preferred_replica": "r"})
    with pytest.raises(SpecError) as caught:
        check_supported(parse_document(put("spec/sharding", {"mode": "hash", "count": 2})).spec)
    assert "spec.sharding.mode" in str(caught.value)
    assert "spec.connection_policy.preferred_replica" in str(caught.value)


def test_a_journal_beside_exactly_once_is_allowed(put):
    put("spec/journal", {"enabled": True})
    assert check_supported(parse_document(put(f"{SINK}/exactly_once", True), strict=True).spec) is None
