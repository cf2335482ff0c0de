import json

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.spec import check_supported, json_schema, parse_document

SOURCE, SINK = "spec/source/config", "spec/sinks/0/config"
HIDDEN = "hunter2"


def test_the_smallest_document_is_accepted_as_written(smallest):
    parsed = parse_document(smallest, strict=True)
    check_supported(parsed.spec)
    assert parsed.warnings == []
    assert parsed.raw == smallest
    assert (parsed.spec.metadata.name, parsed.spec.spec.source.type) == ("orders-cdc", "mysql")


def test_header_keys_are_accepted(smallest):
    parsed = parse_document({"apiVersion": "deltaforge/v1", "kind": "Pipeline", **smallest}, strict=True)
    assert set(parsed.spec.echo()) == {"metadata", "spec"}


def test_defaults_are_those_of_the_contract(smallest):
    spec = parse_document(smallest).spec.spec
    assert spec.batch.model_dump() == {
        "max_events": 2000,
        "max_bytes": 16777216,
        "max_ms": 50,
        "respect_source_tx": True,
        "max_inflight": 1,
        "max_tx_bytes": 16777216,
    }
    assert spec.batch.limits().max_tx_bytes == 16777216
    assert spec.commit_policy.mode == "required"
    assert spec.sink_batch_deadline_secs is None
    assert spec.schema_sensing.enabled is False
    assert spec.sinks[0].config.required is True


def test_missing_parts_of_batch_take_their_own_default(put):
    spec = parse_document(put("spec/batch", {"max_events": 1000, "max_ms": 500})).spec.spec
    assert (spec.batch.max_events, spec.batch.max_ms, spec.batch.max_bytes) == (1000, 500, 16777216)


@pytest.mark.parametrize("block", ["batch", "commit_policy", "journal", "sharding", "schema_sensing"])
def test_null_for_an_optional_block_means_absent(put, smallest, block):
    without = parse_document(smallest).spec.echo()
    assert parse_document(put(f"spec/{block}", None), strict=True).spec.echo() == without


def test_null_turns_a_single_setting_off(put):
    spec = parse_document(put("spec/batch", {"max_events": None, "max_ms": 5})).spec.spec
    assert (spec.batch.max_events, spec.batch.max_ms) == (2000, 5)


ERRORS = [
    ("metadata", None, "metadata", "must be an object, got null"),
    ("metadata/name", None, "metadata.name", "must be a string, got null"),
    ("metadata/name", "", "metadata.name", "at least 1 character"),
    ("metadata/name", "a/b", "metadata.name", "usable in a path"),
    ("metadata/name", "..", "metadata.name", "usable in a path"),
    ("metadata/name", "a\nb", "metadata.name", "usable in a path"),
    ("metadata/name", "ä" * 100, "metadata.name", "percent-encoded"),
    ("metadata/labels", {"a": 1}, "metadata.labels.a", "must be a string, got an integer"),
    ("metadata/labels", {"a b": []}, 'metadata.labels["a b"]', "must be a string, got an array"),
    ("kind", "Deployment", "kind", "must be 'Pipeline'"),
    ("spec", [], "spec", "must be an object, got an array"),
    ("spec/source", None, "spec.source", "must be an object, got null"),
    ("spec/source/type", "oracle", "spec.source.type", "unknown type `oracle`; known: mysql, postgres"),
    ("spec/source/config", 7, "spec.source.config", "must be an object, got an integer"),
    (f"{SOURCE}/id", "", "spec.source.config.id", "at least 1 character"),
    (f"{SOURCE}/tables", "shop.orders", "spec.source.config.tables", "must be an array, got a string"),
    (f"{SOURCE}/tables", ["shop.orders", "shop."], "spec.source.config.tables[1]", "empty half"),
    (f"{SOURCE}/tables", [1], "spec.source.config.tables[0]", "must be a string, got an integer"),
    (f"{SOURCE}/dsn", {"x": HIDDEN}, "spec.source.config.dsn", "got an object"),
    (f"{SOURCE}/on_schema_drift", "x", "spec.source.config.on_schema_drift", "must be 'adapt' or 'halt'"),
    (f"{SOURCE}/snapshot", {"mode": "no"}, "spec.source.config.snapshot.mode", "must be 'initial'"),
    (f"{SOURCE}/snapshot", {"chunk_size": 0}, "spec.source.config.snapshot.chunk_size", "greater than or equal to 1"),
    ("spec/processors", None, "spec.processors", "must be an array, got null"),
    ("spec/processors", [{"type": "x"}], "spec.processors[0].type", "unknown type `x`"),
    ("spec/processors", [{"id": "x"}], "spec.processors[0]", "missing field `type`"),
    ("spec/processors", [{"type": "javascript", "id": "a"}], "spec.processors[0]", "missing field `inline`"),
    ("spec/processors", [{"type": "flatten"}] * 2, "spec.processors[1].id", "already used by spec.processors[0].id"),
    ("spec/sinks", [], "spec.sinks", "must have at least 1 item"),
    ("spec/sinks", {"a": 1}, "spec.sinks", "must be an array, got an object"),
    ("spec/sinks", ["kafka"], "spec.sinks[0]", "must be an object, got a string"),
    ("spec/sinks/0/type", "jms", "spec.sinks[0].type", "unknown type `jms`; known: kafka, redis, stdout, file"),
    (f"{SINK}/topic", 5, "spec.sinks[0].config.topic", "must be a string, got an integer"),
    (f"{SINK}/topic", "x.${", "spec.sinks[0].config.topic", ""),
    (f"{SINK}/key", "${}", "spec.sinks[0].config.key", ""),
    (f"{SINK}/topic", "${a.b.c.d}", "spec.sinks[0].config.topic", ""),
    (f"{SINK}/required", "perhaps", "spec.sinks[0].config.required", "must be true or false, got a string"),
    (f"{SINK}/envelope", "other", "spec.sinks[0].config.envelope.type", "unknown type `other`"),
    (f"{SINK}/envelope", {"type": "cloudevents"}, "spec.sinks[0].config.envelope", "missing field `type_prefix`"),
    (f"{SINK}/encoding", "avro", "spec.sinks[0].config.encoding", "registry"),
    (f"{SINK}/filter", {"exclude_synthetic": True, "synthetic_only": True}, "spec.sinks[0].config.filter", "exclude"),
    (
        f"{SINK}/filter",
        {"producers": ["p"]},
        "spec.sinks[0].config.filter.producers[0]",
        "no processor with the id `p`",
    ),
    ("spec/processors", [{"type": "outbox", "topic": "${"}], "spec.processors[0].topic", "unclosed"),
    (
        "spec/processors",
        [{"type": "filter", "fields": [{"path": "a", "op": "regex", "value": "("}]}],
        "spec.processors[0].fields[0].value",
        "not a regular expression",
    ),
    (
        "spec/processors",
        [{"type": "filter", "fields": [{"path": "a", "op": "in", "value": 3}]}],
        "spec.processors[0].fields[0].value",
        "in needs a list",
    ),
    (
        "spec/processors",
        [{"type": "filter", "tables": {"exclude": [""]}}],
        "spec.processors[0].tables.exclude[0]",
        "must not be empty",
    ),
    ("spec/batch", {"max_events": 0}, "spec.batch.max_events", "greater than or equal to 1"),
    ("spec/batch", {"max_events": -1}, "spec.batch.max_events", "greater than or equal to 1"),
    ("spec/batch", {"max_events": 1 << 40}, "spec.batch.max_events", "less than or equal to"),
    ("spec/batch", {"max_events": "many"}, "spec.batch.max_events", "must be an integer, got a string"),
    ("spec/batch", {"max_events": 1.5}, "spec.batch.max_events", "must be an integer, got a number"),
    ("spec/batch", [], "spec.batch", "must be an object, got an array"),
    ("spec/commit_policy", {}, "spec.commit_policy", "missing field `mode`"),
    ("spec/commit_policy", {"mode": "most"}, "spec.commit_policy.mode", "unknown mode `most`; known: required, all"),
    ("spec/commit_policy", {"mode": "quorum"}, "spec.commit_policy", "missing field `quorum`"),
    ("spec/commit_policy", {"mode": "quorum", "quorum": 0}, "spec.commit_policy.quorum", "greater than or equal to 1"),
    ("spec/commit_policy", {"mode": "quorum", "quorum": 2}, "spec.commit_policy.quorum", "between 1 and the number"),
    ("spec/sink_batch_deadline_secs", 0, "spec.sink_batch_deadline_secs", "greater than or equal to 1"),
    ("spec/sharding", {"count": 2}, "spec.sharding", "missing field `mode`"),
    ("spec/journal", {"dlq": {"overflow_policy": "x"}}, "spec.journal.dlq.overflow_policy", "must be 'drop_oldest'"),
    (
        "spec/schema_sensing",
        {"high_cardinality": {"stable_threshold": 2}},
        "spec.schema_sensing.high_cardinality.stable_threshold",
        "less than or equal to 1",
    ),
]


@pytest.mark.parametrize(("key", "value", "path", "text"), ERRORS)
def test_an_error_names_its_path(put, key, value, path, text):
    with pytest.raises(SpecError) as caught:
        parse_document(put(key, value))
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)
    assert HIDDEN not in repr(caught.value.__cause__)
    assert caught.value.exit_code == 2


MISSING = [
    ("metadata", "missing field `metadata`"),
    ("metadata/name", "metadata: missing field `name`"),
    ("metadata/tenant", "metadata: missing field `tenant`"),
    ("spec", "missing field `spec`"),
    ("spec/source", "spec: missing field `source`"),
    ("spec/source/type", "spec.source: missing field `type`"),
    (SOURCE, "spec.source: missing field `config`"),
    (f"{SOURCE}/id", "spec.source.config: missing field `id`"),
    (f"{SOURCE}/dsn", "spec.source.config: missing field `dsn`"),
    (f"{SOURCE}/tables", "spec.source.config: missing field `tables`"),
    ("spec/processors", "spec: missing field `processors`"),
    ("spec/sinks", "spec: missing field `sinks`"),
    ("spec/sinks/0/type", "spec.sinks[0]: missing field `type`"),
    (SINK, "spec.sinks[0]: missing field `config`"),
    (f"{SINK}/id", "spec.sinks[0].config: missing field `id`"),
    (f"{SINK}/brokers", "spec.sinks[0].config: missing field `brokers`"),
    (f"{SINK}/topic", "spec.sinks[0].config: missing field `topic`"),
]


@pytest.mark.parametrize(("key", "text"), MISSING)
def test_a_missing_field_is_named_in_backticks(put, key, text):
    with pytest.raises(SpecError) as caught:
        parse_document(put(key))
    assert str(caught.value) == text


def test_all_errors_are_listed_and_the_first_gives_the_path(put):
    put("spec/batch", {"max_events": 0, "max_ms": "x"})
    with pytest.raises(SpecError) as caught:
        parse_document(put("metadata/tenant"))
    assert str(caught.value).split("; ") == [
        "metadata: missing field `tenant`",
        "spec.batch.max_events: must be greater than or equal to 1",
        "spec.batch.max_ms: must be an integer, got a string",
    ]
    assert caught.value.path == "metadata"


def test_a_misspelled_key_is_shown_beside_the_one_that_is_missing(put):
    put(f"{SINK}/topics", "orders")
    with pytest.raises(SpecError) as caught:
        parse_document(put(f"{SINK}/topic"))
    assert "missing field `topic`; spec.sinks[0].config.topics: unknown field" in str(caught.value)


UNKNOWN = [
    ("extra", "extra"),
    ("spec/extra", "spec.extra"),
    ("spec/source/mysql", "spec.source.mysql"),
    (f"{SOURCE}/tabels", "spec.source.config.tabels"),
    ("spec/sinks/0/kafka", "spec.sinks[0].kafka"),
    (f"{SINK}/a b", 'spec.sinks[0].config["a b"]'),
    (f"{SINK}/filter/x", "spec.sinks[0].config.filter.x"),
    ("metadata/mode", "metadata.mode"),
    ("spec/batch/max_evnets", "spec.batch.max_evnets"),
    ("spec/schema_sensing/sampling/x", "spec.schema_sensing.sampling.x"),
]


@pytest.mark.parametrize(("key", "path"), UNKNOWN)
@pytest.mark.parametrize("value", [1, None, {"a": [HIDDEN]}])
def test_an_unknown_key_is_a_warning_and_an_error_in_strict_mode(put, key, path, value):
    document = put(key, value)
    parsed = parse_document(document)
    assert parsed.warnings == [f"{path}: unknown field is ignored"]
    assert parsed.raw == document
    with pytest.raises(SpecError) as caught:
        parse_document(document, strict=True)
    assert str(caught.value) == f"{path}: unknown field"


@pytest.mark.parametrize("data", [None, [], "x", 1, 1.5, True])
def test_a_document_must_be_an_object(data):
    with pytest.raises(SpecError, match="must be an object"):
        parse_document(data)


def test_a_document_that_is_nested_too_deeply_is_refused(put):
    value = 1
    for _ in range(5000):
        value = [{"a": value}]
    with pytest.raises(SpecError, match="nested more than 100 levels deep"):
        parse_document(put("spec/extra", value))


def test_bare_envelope_names_are_accepted(put):
    spec = parse_document(put(f"{SINK}/envelope", "debezium")).spec
    assert spec.echo()["spec"]["sinks"][0]["config"]["envelope"]["type"] == "debezium"


def test_a_long_list_of_errors_is_cut(put):
    with pytest.raises(SpecError) as caught:
        parse_document(put("metadata/labels", dict.fromkeys(map(str, range(100)), 1)))
    assert str(caught.value).endswith("and 80 more")


def test_the_json_schema_describes_the_document():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["required"]) == {"metadata", "spec"}
    body = schema["$defs"]["PipelineBody"]
    assert set(body["required"]) == {"source", "processors", "sinks"}
    assert all(field.get("description") for field in body["properties"].values())


TYPES = [
    ("spec/batch", {"max_events": "1000"}, "spec.batch.max_events", "must be an integer, got a string"),
    ("spec/batch", {"max_events": True}, "spec.batch.max_events", "must be an integer, got a boolean"),
    ("spec/batch", {"max_events": 5.0}, "spec.batch.max_events", "must be an integer, got a number"),
    ("spec/batch", {"respect_source_tx": "yes"}, "spec.batch.respect_source_tx", "must be true or false, got a string"),
    ("spec/batch", {"respect_source_tx": 1}, "spec.batch.respect_source_tx", "must be true or false, got an integer"),
    (f"{SINK}/required", "false", "spec.sinks[0].config.required", "must be true or false, got a string"),
    (f"{SINK}/send_timeout_secs", "5", "spec.sinks[0].config.send_timeout_secs", "must be a number, got a string"),
    (f"{SINK}/send_timeout_secs", float("inf"), "spec.sinks[0].config.send_timeout_secs", "must be a finite number"),
    (f"{SINK}/topic", 7, "spec.sinks[0].config.topic", "must be a string, got an integer"),
    ("spec/schema_sensing", {"enabled": "true"}, "spec.schema_sensing.enabled", "must be true or false, got a string"),
    ("spec/journal", {"dlq": {"max_entries": "9"}}, "spec.journal.dlq.max_entries", "must be an integer, got a string"),
]


@pytest.mark.parametrize(("key", "value", "path", "message"), TYPES)
def test_types_are_those_of_json(put, key, value, path, message):
    with pytest.raises(SpecError) as caught:
        parse_document(put(key, value))
    assert (caught.value.path, message in str(caught.value)) == (path, True)


def test_what_an_earlier_version_stored_is_still_read(put):
    put(f"{SINK}/required", "no")
    parsed = parse_document(put("spec/batch", {"max_events": "1000"}), is_stored=True)
    assert (parsed.spec.spec.batch.max_events, parsed.spec.spec.sinks[0].config.required) == (1000, False)
    assert parsed.raw["spec"]["batch"] == {"max_events": "1000"}


def test_checking_takes_time_in_proportion_to_the_size(put):
    """Each of these looked at everything before it again, at every step."""
    many = 5_000
    put("spec/unknown", 1)
    for number in range(many):
        put(f"spec/batch/x{number}", 1)
    sink = {"type": "kafka", "config": {"brokers": "b", "topic": "t"}}
    put("spec/sinks", [{**sink, "config": {**sink["config"], "id": f"k{number}"}} for number in range(many)])
    assert len(parse_document(put("metadata/name", "p")).warnings) == many + 1
    put("spec/sinks", [{**sink, "config": {**sink["config"], "id": "k"}} for _ in range(many)])
    with pytest.raises(SpecError, match=f"and {many - 1 - 20} more"):
        parse_document(put("metadata/name", "p"))
    with pytest.raises(SpecError, match="more"):
        parse_document(put("spec/source/config/tables", list(range(many))))
