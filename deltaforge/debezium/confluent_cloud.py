"""Debezium connectors as Confluent Cloud names and configures them, made the properties of the connectors."""

from __future__ import annotations

from collections.abc import Mapping

from deltaforge.core.errors import SpecError

_CLASSES = {
    "MySqlCdcSourceV2": "io.debezium.connector.mysql.MySqlConnector",
    "MariaDbCdcSource": "io.debezium.connector.mariadb.MariaDbConnector",
    "PostgresCdcSourceV2": "io.debezium.connector.postgresql.PostgresConnector",
}
_OLD = ("MySqlCdcSource", "PostgresCdcSource")
_CONVERTERS = {
    "AVRO": "io.confluent.connect.avro.AvroConverter",
    "JSON": "org.apache.kafka.connect.json.JsonConverter",
    "JSON_SR": "io.confluent.connect.json.JsonSchemaConverter",
    "PROTOBUF": "io.confluent.connect.protobuf.ProtobufConverter",
}
_LOGIN = ("kafka.auth.mode", "kafka.api.key", "kafka.api.secret", "kafka.service.account.id", "kafka.endpoint")
_FORMATS = ("output.data.format", "output.key.format", "json.output.decimal.format")
_REGISTRY = "${env:SCHEMA_REGISTRY_URL}"
_REGISTRY_LOGIN = "${env:SCHEMA_REGISTRY_KEY}:${env:SCHEMA_REGISTRY_PASSWORD}"


def as_connector(config: dict[str, str]) -> dict[str, str]:
    """The properties as the connector itself knows them; others than those of Confluent Cloud are returned as they are.

    Raises:
        SpecError: It is one of their connectors before Debezium 2.
    """
    named = config.get("connector.class", "").strip()
    if named in _OLD:
        raise SpecError(
            f"{named} is of Debezium 1, whose properties have other names",
            hint=f"migrate it to {named}V2 first: Confluent describes how",
        )
    if named not in _CLASSES:
        return config
    kept = {name: value for name, value in config.items() if name not in (*_LOGIN, *_FORMATS, "after.state.only")}
    made = {**kept, "connector.class": _CLASSES[named], **_converters(config), **_producer(config)}
    if named.startswith("Postgres"):
        made.setdefault("plugin.name", "pgoutput")
    if config.get("after.state.only", "false").strip().lower() == "true":
        made |= {
            "transforms": ",".join(filter(None, [config.get("transforms", ""), "after.state.only"])),
            "transforms.after.state.only.type": "io.debezium.transforms.ExtractNewRecordState",
        }
    return made


def _converters(config: Mapping[str, str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for part, name in (("key", "output.key.format"), ("value", "output.data.format")):
        form = config.get(name, "JSON").strip().upper()
        converter = f"{part}.converter"
        made[converter] = _CONVERTERS.get(form, form)
        if form == "JSON":
            made[f"{converter}.schemas.enable"] = "false"
            made[f"{converter}.decimal.format"] = config.get("json.output.decimal.format", "BASE64")
        else:
            made[f"{converter}.schema.registry.url"] = _REGISTRY
            made[f"{converter}.basic.auth.user.info"] = _REGISTRY_LOGIN
    return made


def _producer(config: Mapping[str, str]) -> dict[str, str]:
    """The cluster is that of the account: its address stands nowhere, the key does."""
    prefix = "producer.override."
    key, secret = config.get("kafka.api.key", "${env:KAFKA_KEY}"), config.get("kafka.api.secret", "")
    return {
        f"{prefix}security.protocol": "SASL_SSL",
        f"{prefix}sasl.mechanism": "PLAIN",
        f"{prefix}sasl.jaas.config": f'PlainLoginModule required username="{key}" password="{secret}";',
    }
