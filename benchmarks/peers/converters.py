"""The converters of Kafka Connect for the forms that messages are compared in."""

from __future__ import annotations

_JSON = "org.apache.kafka.connect.json.JsonConverter"
_FORMS = {
    "json": {"": _JSON, "schemas.enable": "false"},
    "schemas": {"": _JSON, "schemas.enable": "true"},
    "avro": {
        "": "io.apicurio.registry.utils.converter.AvroConverter",
        # the wire format and the subjects of Confluent's converter
        "apicurio.registry.as-confluent": "true",
        "apicurio.registry.use-id": "contentId",
        "apicurio.registry.headers.enabled": "false",
        "apicurio.registry.auto-register": "true",
        "apicurio.registry.artifact-resolver-strategy": "io.apicurio.registry.serde.strategy.TopicIdStrategy",
    },
}


def converters(form: str, registry_url: str) -> dict[str, str]:
    """Properties of a connector whose topics hold that form. ``registry_url``: of the registry's Confluent API."""
    settings = dict(_FORMS[form])
    if form == "avro":
        settings["apicurio.registry.url"] = registry_url.replace("/apis/ccompat/v7", "/apis/registry/v2")
    return {
        f"{part}.converter{'.' if name else ''}{name}": value
        for part in ("key", "value")
        for name, value in settings.items()
    }
