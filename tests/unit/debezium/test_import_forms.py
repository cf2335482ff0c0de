"""Configurations as other tools keep them: Strimzi, Confluent Cloud, answers of Kafka Connect with several connectors."""

import json

import pytest
import yaml

from deltaforge.cli import main
from deltaforge.spec import check_supported, load_file
from tests.unit.debezium.test_import import MYSQL, PLAIN, POSTGRES

CONNECTOR = """
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaConnector
metadata:
  name: inventory
  labels: {strimzi.io/cluster: connect}
spec:
  class: io.debezium.connector.postgresql.PostgresConnector
  tasksMax: 1
  config:
    plugin.name: pgoutput
    database.hostname: db
    database.port: 5432
    database.user: ${secrets:kafka/db:username}
    database.password: ${secrets:kafka/db:password}
    database.dbname: shop
    topic.prefix: shop
    tombstones.on.delete: false
    table.include.list: public.orders
"""
CONNECT = """
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaConnect
metadata: {name: connect}
spec:
  bootstrapServers: kafka-bootstrap:9093
  authentication: {type: scram-sha-512, username: connect, passwordSecret: {secretName: s, password: p}}
  tls: {trustedCertificates: [{secretName: ca, certificate: ca.crt}]}
  config:
    key.converter: org.apache.kafka.connect.json.JsonConverter
    key.converter.schemas.enable: false
    value.converter: org.apache.kafka.connect.json.JsonConverter
    value.converter.schemas.enable: false
    producer.linger.ms: 20
"""
CLOUD = {
    "name": "cloud",
    "connector.class": "PostgresCdcSourceV2",
    "kafka.auth.mode": "KAFKA_API_KEY",
    "kafka.api.key": "KEY",
    "kafka.api.secret": "hidden",
    "database.hostname": "db",
    "database.user": "u",
    "database.password": "hidden",
    "database.dbname": "shop",
    "database.sslmode": "require",
    "topic.prefix": "shop",
    "table.include.list": "public.orders",
    "output.data.format": "AVRO",
    "output.key.format": "AVRO",
    "after.state.only": "false",
    "tasks.max": "1",
}


@pytest.fixture
def run(tmp_path, capsys):
    def imported(text, *options, name="connector.json", worker=None):
        (tmp_path / name).write_text(text)
        command = ["import-debezium", str(tmp_path / name), *options]
        if worker is not None:
            (tmp_path / "worker.yaml").write_text(worker)
            command += ["--worker", str(tmp_path / "worker.yaml")]
        code = main(command)
        said = capsys.readouterr()
        if code:
            return code, said.err, {}
        (tmp_path / "made.yaml").write_text(said.out)
        variables = [line.rpartition(" ")[2] for line in said.err.splitlines() if line.startswith("set before it runs")]
        loaded = load_file(tmp_path / "made.yaml", dict.fromkeys(variables, "http://host:1"))
        check_supported(loaded.spec)
        return code, said.err, yaml.safe_load(said.out)["spec"]

    return imported


@pytest.mark.parametrize("is_one_file", [True, False])
def test_resources_of_strimzi_are_read_with_their_worker(run, is_one_file):
    text, worker = (f"{CONNECTOR}---\n{CONNECT}", None) if is_one_file else (CONNECTOR, CONNECT)
    code, said, spec = run(text, name="connector.yaml", worker=worker)
    assert code == 0, said
    config, sink = spec["source"]["config"], spec["sinks"][0]["config"]
    assert config["dsn"] == "postgres://${USERNAME}:${PASSWORD}@db:5432/shop"
    assert sink["brokers"] == "kafka-bootstrap:9093"
    assert sink["encoding"]["schemas"] == "none"
    assert sink["envelope"]["tombstones_on_delete"] is False
    assert sink["client_conf"] == {
        "linger.ms": "20",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "connect",
        "sasl.password": "${KAFKA_PASSWORD}",
    }
    assert "note: database.user: a reference to another place: here it is the variable USERNAME" in said
    assert "note: producer.ssl.truststore.location: Java key stores are not read here" in said


@pytest.mark.parametrize(
    "text", [CONNECT, f"{CONNECTOR}---{CONNECTOR}", "apiVersion: [\nkind: x", "kind: a\nspec: b\n"]
)
def test_a_file_without_exactly_one_connector_is_refused(run, text):
    code, said, _ = run(text, name="connector.yaml")
    assert code == 2
    assert "KafkaConnector" in said or "no YAML" in said


def test_a_connector_of_confluent_cloud_is_that_of_debezium(run):
    code, said, spec = run(json.dumps({"name": "cloud", "config": CLOUD}))
    assert code == 0, said
    assert "hidden" not in said + json.dumps(spec)
    config, sink = spec["source"]["config"], spec["sinks"][0]["config"]
    assert config["slot"] == "debezium"
    assert sink["client_conf"]["sasl.username"] == "KEY"
    assert sink["client_conf"]["sasl.password"] == "${KAFKA_PASSWORD}"
    assert sink["encoding"]["type"] == "avro"
    assert sink["encoding"]["schema_registry_url"] == "${SCHEMA_REGISTRY_URL}"
    assert sink["encoding"]["username"] == "${SCHEMA_REGISTRY_KEY}"
    assert sink["encoding"]["password"] == "${SCHEMA_REGISTRY_PASSWORD}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"after.state.only": "true"}, "not the same: transforms.after.state.only"),
        ({"output.data.format": "PROTOBUF"}, "no encoding here is that of ProtobufConverter"),
        ({"connector.class": "PostgresCdcSource"}, "migrate it to PostgresCdcSourceV2 first"),
    ],
)
def test_what_confluent_cloud_does_and_we_do_not_is_said(run, change, says):
    code, said, _ = run(json.dumps(CLOUD | change))
    assert code
    assert says in said


def test_an_answer_with_one_connector_is_read_and_one_with_two_is_not(run):
    def expanded(*names):
        return json.dumps({name: {"info": {"name": name, "config": {**MYSQL, "name": name}}} for name in names})

    code, _, spec = run(expanded("a"), "--lenient")
    assert (code, spec["source"]["config"]["id"]) == (0, "a-source")
    assert run(json.dumps([{"name": "b", "config": MYSQL}]), "--lenient")[0] == 0
    code, said, _ = run(expanded("a", "b"))
    assert code == 2
    assert "has 2 connectors: a, b" in said


def test_logins_of_a_registry_may_be_references(run):
    def login(info):
        avro = {
            "key.converter": "io.confluent.connect.avro.AvroConverter",
            "key.converter.schema.registry.url": "http://r",
            "key.converter.basic.auth.user.info": info,
        }
        value = {name.replace("key", "value", 1): text for name, text in avro.items()}
        given = {name: text for name, text in POSTGRES.items() if name not in PLAIN}
        _, said, spec = run(json.dumps({**given, **avro, **value}))
        encoding = spec["sinks"][0]["config"]["encoding"]
        return said, encoding["username"], encoding["password"]

    assert login("${file:/s:user}:${file:/s:pass}")[1:] == ("${USER}", "${PASS}")
    said, user, password = login("${file:/s:info}")
    assert (user, password) == ("${SCHEMA_REGISTRY_USERNAME}", "${SCHEMA_REGISTRY_PASSWORD}")
    assert "user and password are one reference" in said


def test_certificates_as_text_and_their_passwords_are_taken(run):
    producer = {
        "ssl.truststore.certificates": "-----BEGIN-----",
        "ssl.keystore.key": "private",
        "ssl.key.password": "word",
    }
    config = POSTGRES | {f"producer.override.{name}": value for name, value in producer.items()}
    _, said, spec = run(json.dumps(config))
    assert spec["sinks"][0]["config"]["client_conf"] == {
        "ssl.ca.pem": "-----BEGIN-----",
        "ssl.key.pem": "${KAFKA_SSL_KEY}",
        "ssl.key.password": "${KAFKA_SSL_KEY_PASSWORD}",
    }
    assert "private" not in said


def test_properties_of_a_converter_belong_to_it(run):
    _, said, _ = run(json.dumps(MYSQL | {"converters": "flag", "flag.type": "io.x.Y"}), "--lenient")
    assert "note: flag.type: of one of the `converters`" in said
