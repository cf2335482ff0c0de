"""Converters of Kafka Connect, and formats of Debezium Server, as the encoding of a sink."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deltaforge.debezium.draft import Draft

_JSON = "org.apache.kafka.connect.json.JsonConverter"
_CONFLUENT = "io.confluent.connect."
_APICURIO = "io.apicurio.registry.utils.converter.AvroConverter"
_STRATEGIES = {
    "TopicNameStrategy": "topic_name",
    "RecordNameStrategy": "record_name",
    "TopicRecordNameStrategy": "topic_record_name",
}
_NO_CACHE = "schemas are known by what they say"
_KEY_STORES = "Java key stores are not read here: put a PEM file into ca_file of the encoding"
_TAKEN = {
    "json": "schemas.enable decimal.format replace.null.with.default",
    "confluent": """
        schema.registry.url key.subject.name.strategy value.subject.name.strategy basic.auth.user.info
        schema.registry.basic.auth.user.info basic.auth.credentials.source ignore.default.for.nullables
        schema.registry.ssl.truststore.location schema.registry.ssl.truststore.type
    """,
    "apicurio": "apicurio.registry.url apicurio.registry.as-confluent",
}
"""Settings of the converters that become some of the encoding."""
_FIXED = {
    "json": "",
    "confluent": """
        auto.register.schemas=true use.latest.version=false normalize.schemas=false connect.meta.data=true
        enhanced.avro.schema.support=false scrub.invalid.names=false generalized.sum.type.support=false
        flatten.unions=false avro.use.logical.type.converters=false
    """,
    "apicurio": """
        apicurio.registry.use-id=contentId apicurio.registry.headers.enabled=false
        apicurio.registry.auto-register=true apicurio.registry.find-latest=false
        apicurio.registry.artifact-resolver-strategy=io.apicurio.registry.serde.strategy.TopicIdStrategy
    """,
}
"""Settings that the encoding has as they are here."""
_NEEDLESS = {
    "json": {"schemas.cache.size": _NO_CACHE, "converter.type": "it is a value's or a key's by where it stands"},
    "confluent": {
        "schemas.enable": "not read by this converter",
        "schemas.cache.config": _NO_CACHE,
        "schemas.cache.size": _NO_CACHE,
        "max.schemas.per.subject": _NO_CACHE,
        "schema.registry.ssl.truststore.password": _KEY_STORES,
        "id.compatibility.strict": "schemas are asked for by what they say",
        "latest.compatibility.strict": "schemas are asked for by what they say",
    },
    "apicurio": {
        "schemas.enable": "not read by this converter",
        "apicurio.registry.check-period-ms": _NO_CACHE,
        "apicurio.registry.converter.serializer": "not read by this converter",
    },
}
_USER_INFO = re.compile(r"(?P<user>(?:\$\{[^}]*\}|[^:])*)(?::(?P<password>.*))?", re.DOTALL)
_SERVER_FORMATS = {"json": _JSON}


def take_converters(draft: Draft, settings: Mapping[str, str]) -> None:
    """Set the encoding, and refuse what has no equal.

    Args:
        draft: The document in the making.
        settings: Those of the worker with those of the connector over them.
    """
    made = {part: _encoding(draft, settings, f"{part}.converter") for part in ("key", "value")}
    if made["value"] is None or made["key"] is None:
        return
    if made["key"] != made["value"]:
        draft.refuse("keys are encoded as values are", "key.converter")
    draft.encoding |= made["value"]


def take_formats(draft: Draft, settings: Mapping[str, str]) -> None:
    """The same for the formats of Debezium Server: the converters that it runs for them."""
    for part in ("key", "value"):
        name = f"format.{part}"
        if settings.get(name, "json").strip().lower() not in _SERVER_FORMATS:
            draft.refuse("no encoding here is the same", name)
            return
    found = {f"{part}.converter": _JSON for part in ("key", "value")}
    for part in ("key", "value"):
        for prefix in ("format.", f"format.{part}."):
            own = {name[len(prefix) :]: value for name, value in settings.items() if name.startswith(prefix)}
            found |= {f"{part}.converter.{name}": v for name, v in own.items() if not name.startswith(("key", "value"))}
    take_converters(draft, found)


def _encoding(draft: Draft, settings: Mapping[str, str], name: str) -> dict[str, Any] | None:
    given = settings.get(name)
    if given is None:
        draft.refuse("it is not in this file: give the properties of the worker with --worker", name)
        return None
    own = {key[len(name) + 1 :]: value for key, value in settings.items() if key.startswith(name + ".")}
    draft.subject = name
    for prefix, read in _READ.items():
        if given == prefix or (prefix.endswith(".") and given.startswith(prefix)):
            return read(draft, given, own)
    draft.refuse(f"no encoding here is that of {given.rpartition('.')[2][:60]}", name)
    return None


def _look(draft: Draft, kind: str, own: Mapping[str, str]) -> None:
    """Say of each setting of a converter that nobody reads what becomes of it."""
    fixed = dict(pair.split("=") for pair in _FIXED[kind].split())
    for name, value in own.items():
        place = f"{draft.subject}.{name}"
        if name in fixed:
            if value.strip().lower() != fixed[name].lower():
                draft.refuse(f"the encoding does what {fixed[name]} says", place)
        elif name in _NEEDLESS[kind]:
            draft.note(f"not needed: {_NEEDLESS[kind][name]}", place)
        elif name not in _TAKEN[kind].split():
            if kind == "json":
                draft.note("no setting of this converter that is known", place)
            else:
                draft.refuse("the encoding has no such setting", place)


def _json(draft: Draft, _given: str, own: Mapping[str, str]) -> dict[str, Any]:
    _look(draft, "json", own)
    with_schemas = own.get("schemas.enable", "true").strip().lower() == "true"
    made: dict[str, Any] = {"type": "json", "schemas": "inline" if with_schemas else "none"}
    if own.get("decimal.format", "base64").strip().lower() != "base64":
        draft.refuse(
            "decimals are bytes in base 64, or text with decimal.handling.mode", f"{draft.subject}.decimal.format"
        )
    if own.get("replace.null.with.default", "true").strip().lower() == "true":
        made["replace_null_with_default"] = True
    return made


def _confluent(draft: Draft, given: str, own: Mapping[str, str]) -> dict[str, Any] | None:
    kinds = {"avro.AvroConverter": "avro", "json.JsonSchemaConverter": "json_schema"}
    kind = kinds.get(given.removeprefix(_CONFLUENT))
    if kind is None:
        draft.refuse(f"no encoding here is that of {given.rpartition('.')[2][:60]}")
        return None
    _look(draft, "confluent", own)
    made: dict[str, Any] = {"type": kind, "schema_registry_url": _url(draft, own.get("schema.registry.url", ""))}
    for part in ("key", "value"):
        strategy = own.get(f"{part}.subject.name.strategy", "TopicNameStrategy").rpartition(".")[2]
        if draft.subject.startswith(part):
            if strategy not in _STRATEGIES:
                draft.refuse("no such strategy here", f"{draft.subject}.{part}.subject.name.strategy")
            made["subject_strategy"] = _STRATEGIES.get(strategy, "topic_name")
    login = own.get("basic.auth.user.info") or own.get("schema.registry.basic.auth.user.info", "")
    if login:
        made |= _login(draft, login, own.get("basic.auth.credentials.source", "USER_INFO"))
    if store := own.get("schema.registry.ssl.truststore.location", ""):
        if own.get("schema.registry.ssl.truststore.type", "JKS").strip().upper() == "PEM":
            made["ca_file"] = draft.text(store)
        else:
            draft.note(_KEY_STORES, f"{draft.subject}.schema.registry.ssl.truststore.location")
    if own.get("ignore.default.for.nullables", "false").strip().lower() != "true":
        made["replace_null_with_default"] = True
    return made


def _login(draft: Draft, login: str, source: str) -> dict[str, str]:
    """User and password, of which each may be a reference with colons of its own, or both together one."""
    if source.strip().upper() != "USER_INFO":
        draft.note("not taken: only a login with USER_INFO is read", f"{draft.subject}.basic.auth.credentials.source")
        return {}
    parts = _USER_INFO.fullmatch(login)
    if parts is None or not parts["password"]:
        draft.note(
            "user and password are one reference: set a variable for each", f"{draft.subject}.basic.auth.user.info"
        )
        draft.variables |= {"SCHEMA_REGISTRY_USERNAME": None, "SCHEMA_REGISTRY_PASSWORD": None}
        return {"username": "${SCHEMA_REGISTRY_USERNAME}", "password": "${SCHEMA_REGISTRY_PASSWORD}"}
    return {"username": draft.text(parts["user"]), "password": _password(draft, parts["password"])}


def _password(draft: Draft, value: str) -> str:
    if value and (draft.writes_secrets or value.startswith("${")):
        return draft.text(value)
    draft.variables["SCHEMA_REGISTRY_PASSWORD"] = None
    return "${SCHEMA_REGISTRY_PASSWORD}"


def _apicurio(draft: Draft, _given: str, own: Mapping[str, str]) -> dict[str, Any] | None:
    """Only in its Confluent form: five bytes before the message, and the ids of the registry's Confluent interface."""
    if own.get("apicurio.registry.as-confluent", "false").strip().lower() != "true":
        draft.refuse("the id of a schema is written as Confluent's clients do: apicurio.registry.as-confluent")
        return None
    _look(draft, "apicurio", own)
    url = own.get("apicurio.registry.url", "").rstrip("/")
    base = url.partition("/apis/")[0]
    address = _url(draft, f"{base}/apis/ccompat/v7" if base else "")
    return {"type": "avro", "schema_registry_url": address, "replace_null_with_default": True}


def _url(draft: Draft, value: str) -> str:
    urls = [part.strip() for part in value.split(",") if part.strip()]
    if not urls:
        draft.refuse("it names no schema registry", f"{draft.subject}.schema.registry.url")
        return "http://schema-registry.invalid"
    if len(urls) > 1:
        draft.note("one address of the registry is used, the first", f"{draft.subject}.schema.registry.url")
    return draft.text(urls[0])


_READ: dict[str, Callable[[Draft, str, Mapping[str, str]], dict[str, Any] | None]] = {
    _JSON: _json,
    _CONFLUENT: _confluent,
    _APICURIO: _apicurio,
}
