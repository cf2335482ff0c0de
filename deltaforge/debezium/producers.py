"""Where messages go: the brokers, and settings of Java's producer as those of librdkafka."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deltaforge.debezium.draft import Draft

NO_BROKERS = "KAFKA_BROKERS"
_SAME = """
    acks compression.type enable.idempotence linger.ms batch.size max.in.flight.requests.per.connection
    request.timeout.ms retry.backoff.ms client.id security.protocol sasl.mechanism sasl.kerberos.service.name
    ssl.endpoint.identification.algorithm transactional.id transaction.timeout.ms client.dns.lookup metadata.max.age.ms
    reconnect.backoff.ms reconnect.backoff.max.ms connections.max.idle.ms
"""
_JAVA_TO_OURS = {name: name for name in _SAME.split()} | {"max.request.size": "message.max.bytes"}
_ELSEWHERE = """
    bootstrap.servers key.serializer value.serializer buffer.memory delivery.timeout.ms retries max.block.ms
    send.buffer.bytes receive.buffer.bytes
"""
_NEEDLESS = frozenset(_ELSEWHERE.split())
"""Said elsewhere, or by this sink: it sends again for as long as it takes, in order."""
_SHAPING = {
    "partitioner.class": "the partition follows from the hash of the key, as it does there by default",
    "partitioner.ignore.keys": "the partition follows from the hash of the key, as it does there by default",
    "interceptor.classes": "code of your own does not run here",
}
_OFF = ("", "false", "null")
_LOGIN = re.compile(r"(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')")
_PEM = "PEM"
_PEM_TEXTS = {
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
}
"""Certificates and keys as text; a key is a secret."""


def take_producer(draft: Draft, settings: Mapping[str, str], prefix: str) -> None:
    """Brokers and client settings.

    Args:
        draft: The document in the making.
        settings: Of the producer, by their names in Java.
        prefix: What these names stand behind in the file, for reports.
    """
    brokers = settings.get("bootstrap.servers", "").strip()
    if not brokers:
        draft.note(
            "they are not in this file: set the variable, or give the worker's properties: --worker",
            "bootstrap.servers",
        )
        draft.variables[NO_BROKERS] = None
    draft.sink["brokers"] = draft.text(brokers) if brokers else f"${{{NO_BROKERS}}}"
    conf: dict[str, str] = {}
    for name, value in settings.items():
        draft.subject = f"{prefix}{name}"
        if name in _JAVA_TO_OURS:
            conf[_JAVA_TO_OURS[name]] = draft.text(value.strip())
        elif name == "sasl.jaas.config":
            conf |= _login(draft, value)
        elif name in _PEM_TEXTS or name == "ssl.key.password":
            conf |= _pem(draft, name, value)
        elif name.startswith(("ssl.truststore.", "ssl.keystore.")):
            conf |= _stores(draft, settings, name, value)
        elif name in _SHAPING and value.strip().lower() not in _OFF:
            draft.refuse(_SHAPING[name])
        elif name not in _NEEDLESS:
            draft.note("not taken: librdkafka has no such setting, or it is the sink's own")
    if conf:
        draft.sink["client_conf"] = conf


def _login(draft: Draft, value: str) -> dict[str, str]:
    """User and password of a JAAS line."""
    found = {name: first or second for name, first, second in _LOGIN.findall(value)}
    if "username" not in found:
        draft.note("not taken: only a login with username and password is read; see client_conf")
        return {}
    password = found.get("password", "")
    if password and (draft.writes_secrets or password.startswith("${")):
        return {"sasl.username": draft.text(found["username"]), "sasl.password": draft.text(password)}
    draft.variables["KAFKA_PASSWORD"] = None
    return {"sasl.username": draft.text(found["username"]), "sasl.password": "${KAFKA_PASSWORD}"}


def _pem(draft: Draft, name: str, value: str) -> dict[str, str]:
    ours = _PEM_TEXTS.get(name, name)
    if ours in ("ssl.ca.pem", "ssl.certificate.pem") or draft.writes_secrets or value.startswith("${"):
        return {ours: draft.text(value)}
    variable = "KAFKA_SSL_KEY" if ours == "ssl.key.pem" else "KAFKA_SSL_KEY_PASSWORD"
    draft.variables[variable] = None
    return {ours: f"${{{variable}}}"}


def _stores(draft: Draft, settings: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Certificates, if they are PEM: key stores of Java are not read."""
    store, _, part = name.rpartition(".")
    if part != "location":
        return {}
    if settings.get(f"{store}.type", "JKS").strip().upper() != _PEM:
        draft.note("Java key stores are not read here: put PEM files into ssl.ca.location and ssl.certificate.location")
        return {}
    if store == "ssl.truststore":
        return {"ssl.ca.location": draft.text(value)}
    return {"ssl.certificate.location": draft.text(value), "ssl.key.location": draft.text(value)}
