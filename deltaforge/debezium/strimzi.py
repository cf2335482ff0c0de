"""Connectors of Strimzi: a resource ``KafkaConnector``, with or without the ``KafkaConnect`` that runs it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from deltaforge.core.errors import SpecError

_IS_RESOURCE = re.compile(r"^(apiVersion|kind|metadata|spec)\s*:", re.MULTILINE)
_SCRAM = {"scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512", "plain": "PLAIN"}


def is_resource(text: str) -> bool:
    """Whether a file is one of Kubernetes and none of properties, in which these names are no lines of their own."""
    return len(set(_IS_RESOURCE.findall(text))) > 1


def connector_of(name: str, text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The properties of the one connector, and those of its worker as far as they are there.

    Args:
        name: Of the file.
        text: One or more resources.

    Raises:
        SpecError: It is no YAML, or has not exactly one connector.
    """
    found = _resources(name, text)
    connectors = [each for each in found if each.get("kind") == "KafkaConnector"]
    if len(connectors) != 1:
        names = ", ".join(str(_part(each, "metadata").get("name")) for each in connectors)
        raise SpecError(
            f"{name} has {len(connectors)} resources KafkaConnector{': ' * bool(names)}{names}",
            hint="give a file with one of them",
        )
    return _connector(connectors[0]), worker_of(name, text)


def worker_of(name: str, text: str) -> dict[str, str]:
    """The properties of a ``KafkaConnect`` in the file; empty if there is none.

    Raises:
        SpecError: It is no YAML.
    """
    worker: dict[str, str] = {}
    for resource in _resources(name, text):
        if resource.get("kind") == "KafkaConnect":
            spec = _part(resource, "spec")
            worker |= _texts(_part(spec, "config"))
            worker["bootstrap.servers"] = str(spec.get("bootstrapServers", ""))
            worker |= {f"producer.{key}": value for key, value in _login(spec).items()}
    return worker


def _resources(name: str, text: str) -> list[dict[str, Any]]:
    try:
        # every scalar stays the text that it is, and nothing but texts, lists and mappings is made
        found = list(yaml.load_all(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError) as exc:
        raise SpecError(f"{name} is no YAML: {str(exc).splitlines()[0]}") from exc
    return [each for each in found if isinstance(each, dict)]


def _connector(resource: dict[str, Any]) -> dict[str, str]:
    spec = _part(resource, "spec")
    given = {"name": _part(resource, "metadata").get("name"), "connector.class": spec.get("class")}
    tasks = {"tasks.max": spec["tasksMax"]} if "tasksMax" in spec else {}
    return _texts({**given, **tasks, **_part(spec, "config")})


def _login(spec: dict[str, Any]) -> dict[str, str]:
    """How the workers log in, as settings of their producers. Passwords and certificates are in Secrets."""
    login, has_tls = _part(spec, "authentication"), "tls" in spec
    kind = str(login.get("type", ""))
    made: dict[str, str] = {}
    if kind in _SCRAM:
        made["security.protocol"] = "SASL_SSL" if has_tls else "SASL_PLAINTEXT"
        made["sasl.mechanism"] = _SCRAM[kind]
        made["sasl.jaas.config"] = f'LoginModule required username="{login.get("username", "")}" password="";'
    elif has_tls or kind:
        made["security.protocol"] = "SSL"
    if kind == "tls":
        made["ssl.keystore.location"] = "the Secret of spec.authentication"
    elif kind and kind not in _SCRAM:
        made[f"spec.authentication.type {kind}"] = ""
    if _part(spec, "tls").get("trustedCertificates"):
        made["ssl.truststore.location"] = "the Secrets of spec.tls.trustedCertificates"
    return made


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _texts(found: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in found.items() if isinstance(value, str)}
