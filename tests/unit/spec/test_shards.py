"""Shards in a document: what holds for each, and what is refused where."""

import copy

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.sources.mysql.config import MysqlShard, MysqlSourceConfig
from deltaforge.sources.postgres.config import PostgresShard, PostgresSourceConfig
from deltaforge.spec import parse_document, restore_secrets
from deltaforge.spec.model import PipelineSpec
from deltaforge.spec.remote import RemoteRules, marks_of
from deltaforge.spec.secrets import secrets_of

EU = {"id": "eu1", "dsn": "postgres://cdc:geheim@eu1/shop", "slot": "s1"}
US = {"id": "us-1.a", "dsn": "postgres://cdc:secret@us1/shop", "slot": "s1", "tables": ["public.orders"]}


def document(*shards, kind="postgres", **config):
    above = {"id": "shop", "tables": [], **({"publication": "pub"} if kind == "postgres" else {}), **config}
    source = {"type": kind, "config": {**above, "shards": list(shards)}}
    sinks = [{"type": "stdout", "config": {"id": "out"}}]
    return {"metadata": {"name": "p", "tenant": "t"}, "spec": {"source": source, "processors": [], "sinks": sinks}}


def refusal(*shards, **config):
    with pytest.raises(SpecError) as caught:
        parse_document(document(*shards, **config), strict=True)
    return str(caught.value)


@pytest.mark.parametrize(("shard", "source"), [(PostgresShard, PostgresSourceConfig), (MysqlShard, MysqlSourceConfig)])
def test_a_shard_may_set_whatever_its_source_may(shard, source):
    assert shard.model_fields.keys() == source.model_fields.keys() - {"shards", "shard_failure"}


def test_a_shard_is_what_stands_above_with_its_own_settings_instead():
    spec = parse_document(document(EU, US, snapshot={"mode": "initial", "chunk_size": 5})).spec
    assert spec.shards() == ("eu1", "us-1.a")
    eu, us = (spec.of_shard(shard).spec.source.config for shard in spec.shards())
    assert (eu.id, eu.dsn.get_secret_value(), eu.slot, eu.tables) == ("shop@eu1", EU["dsn"], "s1", [])
    assert (us.id, us.dsn.get_secret_value(), us.tables) == ("shop@us-1.a", US["dsn"], ["public.orders"])
    assert eu.snapshot == us.snapshot == spec.spec.source.config.snapshot
    assert (eu.publication, eu.shards) == ("pub", None)
    assert [lane.name for lane in spec.lanes()] == ["eu1", "us-1.a"]
    assert PipelineSpec.model_validate(spec.model_dump()) == spec


def test_a_document_with_shards_is_shown_as_it_is_written_without_its_secrets():
    given = document(EU, US)
    shown = parse_document(given).echo["spec"]["source"]["config"]
    assert "dsn" not in shown
    assert shown["shards"] == [
        {**EU, "dsn": "postgres://cdc:***@eu1/shop"},
        {**US, "dsn": "postgres://cdc:***@us1/shop"},
    ]
    assert {"geheim", "secret"} <= set(secrets_of(parse_document(given).spec.model_dump()))
    echoed = copy.deepcopy(given)
    echoed["spec"]["source"]["config"]["shards"] = shown["shards"][::-1]
    restored = restore_secrets(echoed, given)["spec"]["source"]["config"]["shards"]
    assert [shard["dsn"] for shard in restored] == [US["dsn"], EU["dsn"]]


PLACE = "spec.source.config.shards"


@pytest.mark.parametrize(
    ("shards", "config", "expected"),
    [
        ([EU, {"id": "b", "slot": "s2"}], {}, f"{PLACE}[1]: missing field `dsn`"),
        ([EU, {"id": "b", "dsn": "postgres://h/d", "slot": "S!"}], {}, f"{PLACE}[1].slot: a slot name has"),
        ([{"id": "a"}], {"slot": "s"}, "spec.source.config: missing field `dsn`"),
        ([EU, {**US, "id": "eu1"}], {}, f"{PLACE}[1].id: id `eu1` is already used by {PLACE}[0].id"),
        ([{**EU, "id": "a/b"}], {}, f"{PLACE}[0].id: "),
        ([{**EU, "id": ".."}], {}, f"{PLACE}[0].id: "),
        ([{**EU, "shards": []}], {}, f"{PLACE}[0].shards: unknown field"),
        ([], {"dsn": "postgres://h/d", "slot": "s"}, f"{PLACE}: must have at least 1 item"),
        ([EU, {**EU, "id": "b"}], {}, f"{PLACE}[1]: slot s1 of eu1:5432 is that of shard `eu1` already"),
        ([{"id": "a", "dsn": "mysql//h"}], {"kind": "mysql"}, f"{PLACE}[0].dsn: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_shard_is_said_with_its_place(shards, config, expected):
    assert expected in refusal(*shards, **config)


def test_shards_of_one_server_need_different_slots_and_mysql_servers_see_different_replicas():
    parse_document(document(EU, {**EU, "id": "b", "slot": "s2"}))
    shard = {"id": "a", "dsn": "mysql://u@h/d"}
    spec = parse_document(document(shard, {**shard, "id": "b"}, kind="mysql")).spec
    first, second = ([*spec.of_shard(each).spec.source.config.reads_alone()] for each in spec.shards())
    assert first != second


def test_a_file_that_the_dsn_of_a_shard_names_is_one_that_the_document_names(tmp_path):
    named = {**US, "dsn": "postgres://cdc@us1/shop?sslkey=/etc/key"}
    spec = parse_document(document(EU, named)).spec
    with pytest.raises(SpecError, match=r"shards\[1\]\.dsn: sslkey names a file"):
        RemoteRules(output_dir=str(tmp_path)).check(spec)
    RemoteRules(output_dir=str(tmp_path), given=marks_of(spec)).check(spec)


def test_a_variable_in_the_dsn_of_a_shard_is_put_in_where_it_is_used(tmp_path):
    rules = RemoteRules(output_dir=str(tmp_path))
    shard = {**EU, "dsn": "postgres://cdc:${DELTAFORGE_VAR_PW}@eu1/shop"}
    used, put_in = rules.used(parse_document(document(shard, US)).spec, {"DELTAFORGE_VAR_PW": "pw"})
    assert used.of_shard("eu1").spec.source.config.dsn.get_secret_value() == "postgres://cdc:pw@eu1/shop"
    assert put_in == ["pw"]
    with pytest.raises(SpecError, match=r"shards\[0\]\.dsn: refers to the variable HOME"):
        rules.check_sent(parse_document(document({**EU, "dsn": "postgres://${HOME}@h/d"}, US)).spec)
