import copy

import pytest

from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.core.errors import SpecError
from deltaforge.spec import has_redacted, parse_document, restore_secrets

SINK = "spec/sinks/0/config"


@pytest.fixture
def secretive(put):
    put("spec/source/config/dsn", "mysql://user:p@ss/w:rd@host:3306/db")
    put(f"{SINK}/client_conf", {"sasl.password": "hunter2", "ssl.key.password": "hunter3", "linger.ms": "5"})
    return put("metadata/annotations", {"note": "***"})


def test_an_echo_shows_no_secret(secretive):
    echo = parse_document(secretive).spec.echo()
    assert "hunter" not in str(echo)
    assert echo["spec"]["source"]["config"]["dsn"] == "mysql://user:***@host:3306/db"
    conf = echo["spec"]["sinks"][0]["config"]["client_conf"]
    assert conf == {"sasl.password": "***", "ssl.key.password": "***", "linger.ms": "5"}


def test_a_printed_document_shows_no_secret(secretive):
    spec = parse_document(secretive).spec
    assert "hunter" not in f"{spec!r} {spec}"
    assert "p@ss" not in f"{spec!r} {spec}"


def test_an_echo_has_defaults_and_null_for_absent_blocks(smallest):
    echo = parse_document(smallest).spec.echo()
    assert echo["metadata"] == {"name": "orders-cdc", "tenant": "acme", "labels": {}, "annotations": {}}
    spec = echo["spec"]
    absent = ("batch", "commit_policy", "journal", "sharding", "connection_policy", "sink_batch_deadline_secs")
    assert {name: spec[name] for name in absent} == dict.fromkeys(absent)
    assert spec["source"]["config"]["snapshot"]["mode"] == "never"
    assert spec["schema_sensing"]["sampling"]["sample_rate"] == 10
    assert spec["sinks"][0]["config"]["envelope"]["type"] == "native"


def test_an_echo_shows_a_block_that_was_given(put):
    echo = parse_document(put("spec/batch", {"max_ms": 7})).spec.echo()
    assert echo["spec"]["batch"]["max_ms"] == 7
    assert echo["spec"]["batch"]["max_events"] == 2000


def test_an_echo_is_a_document_with_the_same_echo(smallest, secretive):
    echo = parse_document(secretive).spec.echo()
    restored = restore_secrets(echo, secretive)
    again = parse_document(restored, strict=True)
    assert again.spec.echo() == echo


@pytest.mark.parametrize("merge", [merge_patch_indexed, merge_patch_rfc7386])
def test_patching_an_echo_back_keeps_the_secrets(secretive, merge):
    echo = parse_document(secretive).spec.echo()
    patched = merge(secretive, echo)
    restored = restore_secrets(patched, secretive)
    assert restored["spec"]["source"]["config"]["dsn"] == "mysql://user:p@ss/w:rd@host:3306/db"
    assert restored["spec"]["sinks"][0]["config"]["client_conf"]["sasl.password"] == "hunter2"
    assert not has_redacted(restored)
    assert restored["metadata"]["annotations"]["note"] == "***"


def test_a_new_password_is_kept(secretive):
    patched = copy.deepcopy(secretive)
    patched["spec"]["source"]["config"]["dsn"] = "mysql://user:new@host/db"
    assert restore_secrets(patched, secretive) == patched


def test_a_password_is_not_carried_to_another_host(secretive):
    patched = copy.deepcopy(secretive)
    patched["spec"]["source"]["config"]["dsn"] = "mysql://user:***@elsewhere/db"
    restored = restore_secrets(patched, secretive)
    assert has_redacted(restored)
    with pytest.raises(SpecError) as caught:
        parse_document(restored)
    assert caught.value.path == "spec.source.config.dsn"


def test_sinks_are_matched_by_id(secretive):
    other = {"type": "kafka", "config": {"id": "new", "brokers": "b", "topic": "t"}}
    other["config"]["client_conf"] = {"sasl.password": "***"}
    patched = copy.deepcopy(secretive)
    patched["spec"]["sinks"][0]["config"]["client_conf"]["sasl.password"] = "***"
    patched["spec"]["sinks"].insert(0, other)
    restored = restore_secrets(patched, secretive)
    assert restored["spec"]["sinks"][1]["config"]["client_conf"]["sasl.password"] == "hunter2"
    assert restored["spec"]["sinks"][0]["config"]["client_conf"]["sasl.password"] == "***"


def test_a_redacted_document_is_not_taken_for_a_new_one(secretive):
    echo = parse_document(secretive).spec.echo()
    with pytest.raises(SpecError) as caught:
        parse_document(echo)
    assert "redacted form of a secret" in str(caught.value)


def test_restoring_changes_neither_argument(secretive):
    echo = parse_document(secretive).spec.echo()
    before = copy.deepcopy((echo, secretive))
    restore_secrets(echo, secretive)
    assert (echo, secretive) == before
