"""What ``import-debezium`` makes of whole configurations."""

import json
import re
import stat

import pytest
import yaml

from deltaforge.cli import main
from deltaforge.spec import check_supported, load_file

JSON = "org.apache.kafka.connect.json.JsonConverter"
PLAIN = {"key.converter": JSON, "value.converter": JSON} | {
    f"{part}.converter.schemas.enable": "false" for part in ("key", "value")
}
POSTGRES = {
    "name": "inventory",
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "plugin.name": "pgoutput",
    "database.hostname": "db",
    "database.user": "c d",
    "database.password": "s3:cret",
    "database.dbname": "shop",
    "topic.prefix": "shop",
    **PLAIN,
}
MYSQL = POSTGRES | {"connector.class": "io.debezium.connector.mysql.MySqlConnector", "database.port": "3307"}
for alien in ("plugin.name", "database.dbname"):
    MYSQL.pop(alien)


@pytest.fixture
def run(tmp_path, capsys):
    def imported(config, *options, text=None, worker=None):
        path = tmp_path / ("connector.properties" if text else "connector.json")
        path.write_text(text or json.dumps({"name": config.get("name", "x"), "config": config}))
        command = ["import-debezium", str(path), *options]
        if worker is not None:
            (tmp_path / "worker.properties").write_text(worker)
            command += ["--worker", str(tmp_path / "worker.properties")]
        code = main(command)
        said = capsys.readouterr()
        if code == 0 and said.out:
            (tmp_path / "made.yaml").write_text(said.out)
            variables = re.findall(r"set before it runs: (\w+)", said.err)
            check_supported(load_file(tmp_path / "made.yaml", dict.fromkeys(variables, "x"), strict=True).spec)
        return code, yaml.safe_load(said.out) if said.out else None, said.err

    return imported


def source_of(document):
    return document["spec"]["source"]["config"]


def sink_of(document):
    return document["spec"]["sinks"][0]["config"]


def test_a_connector_becomes_a_document_without_its_password(run, tmp_path):
    config = POSTGRES | {
        "slot.name": "dbz",
        "publication.name": "pub",
        "table.include.list": r"public\.orders,audit\..*",
    }
    code, document, said = run(config, "-o", str(tmp_path / "p.yaml"))
    assert (code, document) == (0, None)
    text = (tmp_path / "p.yaml").read_text()
    assert "s3:cret" not in text + said
    document = yaml.safe_load(text)
    assert document["metadata"]["name"] == "inventory"
    assert source_of(document) == {
        "id": "inventory-source",
        "dsn": "postgres://c%20d:${PGPASSWORD}@db:5432/shop",
        "publication": "pub",
        "slot": "dbz",
        "tables": ["public.orders", "audit.*"],
        "snapshot": {"mode": "initial"},
    }
    assert sink_of(document)["brokers"] == "${KAFKA_BROKERS}"
    assert "set before it runs: PGPASSWORD" in said
    assert "set before it runs: KAFKA_BROKERS" in said
    assert main(["import-debezium", str(tmp_path / "connector.json"), "-o", str(tmp_path / "p.yaml")]) == 2


def test_secrets_are_written_if_that_is_asked_for_and_only_the_owner_reads_them(run, tmp_path):
    path = tmp_path / "p.yaml"
    assert run(POSTGRES, "--with-secrets", "-o", str(path))[0] == 0
    assert source_of(yaml.safe_load(path.read_text()))["dsn"] == "postgres://c%20d:s3%3Acret@db:5432/shop"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_references_become_variables(run):
    config = MYSQL | {"database.password": "${file:/run/db.properties:db.pass}", "database.hostname": "${env:DB_HOST}"}
    _, document, _ = run(config)
    assert source_of(document)["dsn"] == "mysql://c%20d:${DB_PASS}@${DB_HOST}:3307/"
    of_files = config | {
        "database.user": "${env:USERNAME}",
        "database.password": "${file:/run/db.properties:password}",
        "producer.override.sasl.jaas.config": 'x required username="${file:/run/k.properties:username}" '
        'password="${file:/run/k.properties:password}";',
        "heartbeat.topics.prefix": "${file:/run/db.properties:password}",
    }
    _, document, said = run(of_files, "--lenient")
    assert source_of(document)["dsn"] == "mysql://${USERNAME}:${PASSWORD}@${DB_HOST}:3307/"
    login = {"sasl.username": "${USERNAME_2}", "sasl.password": "${PASSWORD_2}"}
    assert sink_of(document)["client_conf"] == login
    assert sink_of(document)["envelope"]["heartbeat_topics_prefix"] == "${PASSWORD}"
    assert "a reference to another place: here it is the variable PASSWORD_2" in said
    _, document, _ = run(POSTGRES | {"slot.name": "${env:SLOT}", "publication.name": "${file:/run/p:pub}"})
    assert (source_of(document)["slot"], source_of(document)["publication"]) == ("${SLOT}", "${PUB}")
    text = (
        "debezium.source.connector.class=io.debezium.connector.mysql.MySqlConnector\ndebezium.source.topic.prefix=p\n"
    )
    text += "debezium.source.database.hostname=h\ndebezium.source.database.password=${DB_PASSWORD}\n"
    text += "debezium.source.database.user=${DB_USER:cdc}\ndebezium.sink.type=kafka\n"
    text += "debezium.sink.kafka.producer.bootstrap.servers=k:9092\ndebezium.format.value.schemas.enable=false\n"
    text += "debezium.format.key.schemas.enable=false\ndebezium.source.include.schema.changes=false\n"
    code, document, _ = run({}, text=text)
    assert code == 0
    assert source_of(document)["dsn"] == "mysql://${DB_USER:-cdc}:${DB_PASSWORD}@h:3306/"
    assert sink_of(document)["brokers"] == "k:9092"
    assert sink_of(document)["encoding"] == {"type": "json", "schemas": "none", "replace_null_with_default": True}


def test_what_mysql_does_by_default_is_written_out(run):
    _, document, _ = run(MYSQL)
    envelope = sink_of(document)["envelope"]
    assert (envelope["bigint_unsigned_handling"], envelope["connector"]) == ("long", "mysql")
    assert envelope["include_schema_changes"] is True
    _, document, _ = run(MYSQL | {"connector.class": "io.debezium.connector.mariadb.MariaDbConnector"})
    assert sink_of(document)["envelope"]["connector"] == "mariadb"
    assert source_of(document)["tables"] == []


@pytest.mark.parametrize(
    ("theirs", "ours"), [("disable", "disabled"), ("trust", "required"), ("verify-full", "verify_identity")]
)
def test_modes_of_tls_of_mariadb_are_those_of_mysql(run, theirs, ours):
    mariadb = MYSQL | {"connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "database.ssl.mode": theirs}
    _, document, _ = run(mariadb)
    assert source_of(document)["dsn"].endswith(f"?ssl-mode={ours}")


def test_tables_follow_both_lists(run):
    _, document, _ = run(MYSQL | {"database.include.list": "shop", "table.include.list": r".*\.orders,other\.x"})
    assert source_of(document)["tables"] == ["shop.orders"]
    _, document, _ = run(MYSQL | {"database.exclude.list": "tmp.*", "table.exclude.list": r"shop\.log.*"})
    assert source_of(document)["tables"] == ["!tmp*.*", "!shop.log*"]


LOST = [
    ({"transforms": "a", "transforms.a.type": "io.debezium.transforms.ExtractNewRecordState"}, "transforms.a"),
    ({"table.include.list": r"public\.o[0-9]"}, "table.include.list"),
    ({"snapshot.mode": "initial_only"}, "snapshot.mode"),
    ({"snapshot.mode": "custom"}, "snapshot.mode"),
    ({"value.converter": "org.apache.kafka.connect.storage.StringConverter"}, "value.converter"),
    ({"key.converter.schemas.enable": "true"}, "key.converter"),
    ({"converters": "mine"}, "converters"),
    ({"topic.naming.strategy": "io.debezium.schema.DefaultTopicNamingStrategy"}, "topic.naming.strategy"),
    ({"errors.tolerance": "all"}, "errors.tolerance"),
    ({"producer.override.partitioner.class": "org.example.Mine"}, "producer.override.partitioner.class"),
    ({"producer.override.interceptor.classes": "org.example.Mine"}, "producer.override.interceptor.classes"),
    ({"column.mask.with.3.chars": "${env:MASKED}"}, "column.mask.with.3.chars"),
    ({"column.exclude.list": "${file:/run/lists:hidden}"}, "column.exclude.list"),
    ({"column.truncate.to.3.chars": r"public\.a\.\p{Alpha}"}, "column.truncate.to.3.chars"),
    ({"column.mask.hash.SHA-256.with.salt.s": "public.a.[a-z&&[^b]]"}, "column.mask.hash.<algorithm>.with.salt.<salt>"),
    ({"decimal.handling.mode": "exact"}, "decimal.handling.mode"),
    ({"snapshot.select.statement.overrides": "public.a"}, "snapshot.select.statement.overrides"),
]


@pytest.mark.parametrize(("more", "name"), LOST, ids=[name for _, name in LOST])
def test_what_changes_messages_writes_nothing_unless_that_is_allowed(run, more, name):
    code, document, said = run(POSTGRES | more)
    assert (code, document) == (1, None)
    assert f"not the same: {name}: " in said
    code, document, _ = run(POSTGRES | more, "--lenient")
    assert code == 0
    assert document["spec"]["source"]["type"] == "postgres"


def test_the_salt_of_a_hash_is_a_secret(run):
    more = {
        "column.mask.hash.SHA-256.with.salt.s4lt": "public.a.b",
        "column.mask.hash.v2.SHA-512.with.salt.s5lt": "public.a.c",
    }
    code, document, said = run(POSTGRES | more)
    assert code == 0, said
    assert "s4lt" not in said + str(document)
    assert "s5lt" not in said + str(document)
    assert [found["version"] for found in sink_of(document)["envelope"]["column_hash"]] == [1, 2]


def test_a_heartbeat_and_options_of_columns_are_taken(run):
    more = {
        "heartbeat.interval.ms": "5000", "column.exclude.list": r"public\.a\.secret,public\.b\..*_tmp", "skipped.operations": "d,t",
        "column.mask.with.4.chars": r"public\.a\.name", "column.truncate.to.20.chars": r"public\.a\.note",
        "topic.creation.default.partitions": "6", "topic.creation.default.replication.factor": "-1",
        "topic.creation.default.cleanup.policy": "compact", "topic.creation.logs.partitions": "1",
        "message.key.columns": "public.a:name", "time.precision.mode": "isostring", "provide.transaction.metadata": "true",
    }  # fmt: skip
    code, document, said = run(POSTGRES | more)
    assert code == 0, said
    assert source_of(document)["heartbeat_interval_ms"] == 5000
    assert sink_of(document)["topic_creation"] == {"partitions": 6, "config": {"cleanup.policy": "compact"}}
    envelope = sink_of(document)["envelope"]
    assert envelope["column_exclude_list"] == [r"public\.a\.secret", r"public\.b\..*_tmp"]
    assert envelope["column_mask"] == [{"columns": [r"public\.a\.name"], "length": 4}]
    assert envelope["column_truncate"] == [{"columns": [r"public\.a\.note"], "length": 20}]
    assert (envelope["skipped_operations"], envelope["message_key_columns"]) == (["d", "t"], "public.a:name")
    assert (envelope["time_precision"], envelope["provide_transaction_metadata"]) == ("isostring", True)


def test_what_changes_nothing_is_only_said(run):
    code, _, said = run(POSTGRES | {"max.batch.size": 1, "slot.nam": "x", "database.server.id": "5"})
    assert code == 0
    assert "note: max.batch.size: not needed: " in said
    assert "note: slot.nam: no property of Debezium 3.6 that is known; near: slot.name" in said
    assert "note: database.server.id: not read by this connector" in said


def test_the_worker_says_brokers_converters_and_the_producer(run):
    bare = {name: value for name, value in POSTGRES.items() if "converter" not in name}
    assert run(bare)[0] == 1
    worker = (
        "bootstrap.servers=a:9092,b:9092\nproducer.acks=all\nproducer.security.protocol=SASL_SSL\n"
        "producer.sasl.mechanism=SCRAM-SHA-512\nproducer.max.request.size=8388608\nproducer.linger.ms=5\n"
        'producer.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="u" '
        'password="hidden";\n'
        f"key.converter={JSON}\nvalue.converter={JSON}\n"
    )
    code, document, said = run(bare | {"producer.override.linger.ms": "20"}, worker=worker)
    assert code == 0
    assert "hidden" not in said
    assert sink_of(document)["brokers"] == "a:9092,b:9092"
    assert sink_of(document)["client_conf"] == {
        "acks": "all",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "message.max.bytes": "8388608",
        "linger.ms": "20",
        "sasl.username": "u",
        "sasl.password": "${KAFKA_PASSWORD}",
    }
    assert sink_of(document)["encoding"]["schemas"] == "inline"


AVRO = [
    (
        {"value.converter": "io.confluent.connect.avro.AvroConverter", "schema.registry.url": "http://r:8081",
         "basic.auth.user.info": "u:hidden", "value.subject.name.strategy": "io.x.RecordNameStrategy",
         "key.subject.name.strategy": "io.x.RecordNameStrategy", "ignore.default.for.nullables": "true"},
        {"type": "avro", "schema_registry_url": "http://r:8081", "subject_strategy": "record_name", "username": "u",
         "password": "${SCHEMA_REGISTRY_PASSWORD}"},
    ),
    (
        {"value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
         "apicurio.registry.url": "http://r:8080/apis/registry/v3", "apicurio.registry.as-confluent": "true"},
        {"type": "avro", "schema_registry_url": "http://r:8080/apis/ccompat/v7", "replace_null_with_default": True},
    ),
    (
        {"value.converter": "io.confluent.connect.json.JsonSchemaConverter", "schema.registry.url": "http://r:8081"},
        {"type": "json_schema", "schema_registry_url": "http://r:8081", "subject_strategy": "topic_name",
         "replace_null_with_default": True},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "encoding"), AVRO)
def test_converters_with_a_registry(run, given, encoding):
    bare = {name: value for name, value in POSTGRES.items() if "converter" not in name}
    kind = given["value.converter"]
    both = {
        f"{part}.converter.{name}": value
        for part in ("key", "value")
        for name, value in given.items()
        if name != "value.converter"
    }
    both |= {f"{part}.converter": kind for part in ("key", "value")}
    code, document, said = run(bare | both)
    assert code == 0, said
    assert sink_of(document)["encoding"] == encoding


SETTINGS = [
    ("connect.meta.data=false", "not the same"),
    ("auto.register.schemas=true", None),
    ("use.latest.version=true", "not the same"),
    ("not.known=1", "not the same"),
    ("schemas.cache.config=10", "note"),
    ("schema.registry.ssl.truststore.location=/a.jks", "note"),
]


@pytest.mark.parametrize(("setting", "word"), SETTINGS)
def test_no_setting_of_a_converter_is_passed_over(run, setting, word):
    bare = {name: value for name, value in POSTGRES.items() if "converter" not in name}
    both = {}
    for part in ("key.converter", "value.converter"):
        both[part] = "io.confluent.connect.avro.AvroConverter"
        both[f"{part}.schema.registry.url"] = "http://r:8081"
        both[f"{part}.{setting.partition('=')[0]}"] = setting.partition("=")[2]
    code, _, said = run(bare | both)
    assert code == (1 if word == "not the same" else 0)
    for part in ("key.converter", "value.converter"):
        name = f"{part}.{setting.partition('=')[0]}"
        assert (f"{word}: {name}: " in said) if word else (name not in said)
    pem = {name: value for name, value in both.items() if not name.endswith(setting.partition("=")[0])}
    for part in ("key.converter", "value.converter"):
        pem |= {
            f"{part}.schema.registry.ssl.truststore.{name}": value
            for name, value in (("type", "PEM"), ("location", "/c"))
        }
    assert sink_of(run(bare | pem)[1])["encoding"]["ca_file"] == "/c"


ROUTES = [
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": r"shop\.public\.(.*)", "replacement": "cdc-$1"}, "cdc-${source.table}"),
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": ".*", "replacement": "all"}, "all"),
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": r"([^.]+)\.([^.]+)\.([^.]+)", "replacement": "$3_$2"}, "${source.table}_public"),
    ("io.debezium.transforms.ByLogicalTableRouter", {"topic.regex": ".*", "topic.replacement": "all", "key.enforce.uniqueness": "false"}, "all"),
    ("io.debezium.transforms.ByLogicalTableRouter", {"topic.regex": ".*", "topic.replacement": "all"}, None),
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": "(.*)orders", "replacement": "$1o"}, None),
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": "(", "replacement": ""}, None),
    ("org.apache.kafka.connect.transforms.RegexRouter", {"regex": ".*", "replacement": "$7"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "settings", "topic"), ROUTES)
def test_routers_become_a_template_if_that_is_the_same(run, kind, settings, topic):
    transform = {"type": kind, **settings}
    more = {"transforms": "r", **{f"transforms.r.{name}": value for name, value in transform.items()}}
    code, document, _ = run(POSTGRES | {"table.include.list": "public.orders,public.items"} | more)
    assert (code, document and sink_of(document).get("topic")) == ((0, topic) if topic else (1, None))
    assert run(POSTGRES | {"table.include.list": r"public\..*"} | more)[0] == 1
    with_schemas = {f"{part}.converter.schemas.enable": "true" for part in ("key", "value")}
    code, _, said = run(POSTGRES | with_schemas | {"table.include.list": "public.orders,public.items"} | more)
    assert ("not the same: transforms.r: it names schemas after the new topic" in said) is (
        bool(topic) and "Logical" in kind
    )
    assert code == (1 if "not the same" in said else 0)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"connector.class": "io.debezium.connector.oracle.OracleConnector"},
        MYSQL | {"topic.prefix": ""},
        MYSQL | {"database.hostname": ""},
    ],
)
def test_a_configuration_that_is_none_is_refused(run, config):
    assert run(config)[0] == 2
