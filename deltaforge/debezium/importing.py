"""From the configuration of a connector to a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote

import yaml

from deltaforge.core.errors import SpecError
from deltaforge.debezium import connect_properties, message_properties, server_properties, snapshot_properties
from deltaforge.debezium.converters import take_converters, take_formats
from deltaforge.debezium.draft import Draft, Kind, Report
from deltaforge.debezium.given import Given
from deltaforge.debezium.names import UnclearNameError, names_of, patterns_of, split_list, tables_of
from deltaforge.debezium.producers import take_producer
from deltaforge.debezium.properties import Property
from deltaforge.debezium.routes import take_transforms

PROPERTIES: tuple[Property, ...] = (
    *server_properties.PROPERTIES,
    *message_properties.PROPERTIES,
    *snapshot_properties.PROPERTIES,
    *connect_properties.PROPERTIES,
)
"""Every property: the one table, of imports and of ``docs/debezium-properties.md``."""

_CLASSES: dict[str, Kind] = {
    "io.debezium.connector.mysql.MySqlConnector": "mysql",
    "io.debezium.connector.mariadb.MariaDbConnector": "mariadb",
    "io.debezium.connector.postgresql.PostgresConnector": "postgresql",
}
_PASSWORDS = {"mysql": "MYSQL_PASSWORD", "mariadb": "MYSQL_PASSWORD", "postgresql": "PGPASSWORD"}
_MARIADB_MODES = {"disable": "disabled", "trust": "required", "verify-full": "verify_identity"}
"""What the connector for MariaDB calls the modes of the one for MySQL."""
_SSL_WORDS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
_CONTEXT = "extended.headers.enabled"
"""On, unless it is off."""
_SALT = "<salt>"
"""A secret that is part of a name."""
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        text: The document.
        reports: What it does not say as the properties do.
        variables: Environment variables that have to be set.
    """

    text: str
    reports: list[Report]
    variables: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether the messages are what they were."""
        return not any(report.is_lost for report in self.reports)


def import_connector(
    given: Given, worker: Mapping[str, str], *, tenant: str = "default", writes_secrets: bool = False
) -> Imported:
    """The document of a pipeline that does what the connector did.

    Raises:
        SpecError: It is none of the connectors that are known, or lacks what no pipeline can be without.
    """
    draft = Draft(_kind(given.config), given.config, is_server=given.is_server, writes_secrets=writes_secrets)
    _take_properties(draft)
    prefix = _prefix(draft)
    name = _NAME.sub("-", given.config.get("name", prefix)).strip("-.") or "debezium"
    if draft.kind == "postgresql":
        _take_postgres(draft)
    else:
        _take_mysql(draft)
    draft.source["tables"] = tables = _tables(draft)
    draft.source.setdefault("snapshot", {"mode": "initial"})
    _take_sink(draft, given, worker)
    take_transforms(draft, tables, prefix)
    document = {
        "metadata": {"name": name, "tenant": tenant},
        "spec": {
            "source": {
                "type": "postgres" if draft.kind == "postgresql" else "mysql",
                "config": {"id": f"{name}-source", **draft.source},
            },
            "processors": [],
            "sinks": [{"type": "kafka", "config": {"id": "kafka", **draft.sink}}],
        },
    }
    return Imported(_written(document, draft.reports), draft.reports, list(draft.variables))


def _kind(config: Mapping[str, str]) -> Kind:
    found = config.get("connector.class", "").strip()
    for known, kind in _CLASSES.items():
        if found in (known, known.rpartition(".")[2], known.rpartition(".")[2].removesuffix("Connector")):
            return kind
    if not found:
        raise SpecError("connector.class is missing", hint="give the configuration of one connector")
    raise SpecError(f"{found[:100]} is no connector that can be imported", hint=f"one of {', '.join(_CLASSES)}")


def _prefix(draft: Draft) -> str:
    prefix = draft.config.get("topic.prefix", "").strip()
    if not prefix:
        raise SpecError("topic.prefix is missing", hint="before Debezium 2 it was database.server.name")
    draft.envelope = {"type": "debezium", "dialect": "connect", "topic_prefix": draft.text(prefix), **draft.envelope}
    return prefix


def _take_properties(draft: Draft) -> None:
    for name, value in {_CONTEXT: "true", **draft.config}.items():
        found = find_property(name)
        draft.subject = found.name if found is not None and _SALT in found.name else name
        draft.parts = found.free_parts(name) or () if found is not None else ()
        if found is None and _is_of_converter(name, draft.config):
            draft.note("of one of the `converters`")
        elif found is None:
            near = get_close_matches(name, [known.name for known in PROPERTIES], 1, 0.8)
            draft.note("no property of Debezium 3.6 that is known" + "".join(f"; near: {other}" for other in near))
        elif draft.kind not in found.kinds:
            draft.note("not read by this connector")
        else:
            found.take(draft, value)
    if draft.kind != "postgresql":
        draft.envelope["connector"] = draft.kind
        draft.envelope.setdefault("bigint_unsigned_handling", "long")
        if draft.envelope.setdefault("include_schema_changes", True) is False:
            del draft.envelope["include_schema_changes"]


def _is_of_converter(name: str, config: Mapping[str, str]) -> bool:
    return name.partition(".")[0] in (part.strip() for part in config.get("converters", "").split(","))


def find_property(name: str) -> Property | None:
    """The row of the table; one with its whole name before those with free parts."""
    exact = next((known for known in PROPERTIES if known.name == name), None)
    return exact or next((known for known in PROPERTIES if known.free_parts(name)), None)


def _take_mysql(draft: Draft) -> None:
    mode = draft.config.get("database.ssl.mode", "preferred").strip().lower()
    mode = _MARIADB_MODES.get(mode, mode)
    draft.source["dsn"] = _dsn(draft, "mysql", "3306", "/", {"ssl-mode": mode} if mode != "preferred" else {})


def _take_postgres(draft: Draft) -> None:
    config = draft.config
    words = {word: config[f"database.{word}"] for word in _SSL_WORDS if config.get(f"database.{word}")}
    draft.subject = "database.dbname"
    path = "/" + draft.text(config.get("database.dbname", "postgres"), _quoted)
    draft.source["dsn"] = _dsn(draft, "postgres", "5432", path, words)
    draft.subject = "slot.name"
    slot = draft.text(config.get("slot.name", "debezium").strip())
    draft.subject = "publication.name"
    draft.source["publication"] = draft.text(config.get("publication.name", "dbz_publication").strip())
    is_ours = config.get("plugin.name", "decoderbufs").strip() == "pgoutput"
    draft.source["slot"] = slot if is_ours else f"{slot}_pgoutput"[:63]


def _dsn(draft: Draft, scheme: str, port: str, path: str, words: Mapping[str, str]) -> str:
    config = draft.config
    if not config.get("database.hostname"):
        raise SpecError("database.hostname is missing")
    draft.subject = "database.user"
    user = draft.text(config.get("database.user", "root" if scheme == "mysql" else "postgres"), _quoted)
    draft.subject = "database.password"
    password = draft.secret("database.password", _PASSWORDS[draft.kind], _quoted)
    draft.subject = "database.hostname"
    host = draft.text(config["database.hostname"].strip())
    host = f"[{host}]" if ":" in host and "$" not in host else host
    place = f"{user}:{password}@{host}:{draft.text(config.get('database.port', port).strip())}{path}"
    query = "&".join(f"{word}={draft.text(value, _quoted)}" for word, value in words.items())
    return f"{scheme}://{place}" + (f"?{query}" if query else "")


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _tables(draft: Draft) -> list[str]:
    outer = "schema" if draft.kind == "postgresql" else "database"

    def refuse(name: str) -> Callable[[str, str], None]:
        return lambda expression, reason: draft.refuse(f"{expression[:80]!r} {reason}", name)

    found = patterns_of(
        draft.config.get("table.include.list") or None,
        draft.config.get(f"{outer}.include.list") or None,
        refuse("table.include.list" if draft.config.get("table.include.list") else f"{outer}.include.list"),
    )
    excluded = list(_excluded(draft, f"{outer}.exclude.list", outer)) + list(_excluded(draft, "table.exclude.list", ""))
    if found is not None and not found:
        draft.refuse(
            "no table is left that can be said by a pattern; the document has one to be replaced", "table.include.list"
        )
        found = ["replace.me"]
    return (found or []) + [f"!{pattern}" for pattern in excluded]


def _excluded(draft: Draft, name: str, outer: str) -> Iterator[str]:
    for expression in split_list(draft.config.get(name, "")):
        try:
            if outer:
                yield from (f"{half.pattern}.*" for half in names_of(expression))
            else:
                yield from (f"{left.pattern}.{right.pattern}" for left, right in tables_of(expression))
        except UnclearNameError as error:
            draft.refuse(f"{expression[:80]!r} {error}", name)


def _take_sink(draft: Draft, given: Given, worker: Mapping[str, str]) -> None:
    if given.is_server:
        _take_server_sink(draft, given.sink)
        return
    settings = {name[len("producer.") :]: value for name, value in worker.items() if name.startswith("producer.")}
    prefix = "producer.override."
    own = {name[len(prefix) :]: value for name, value in given.config.items() if name.startswith(prefix)}
    brokers = worker.get("bootstrap.servers", "")
    take_producer(draft, {"bootstrap.servers": brokers, **settings, **own}, prefix if own else "producer.")
    take_converters(draft, {**worker, **given.config})
    _finish_sink(draft)


def _take_server_sink(draft: Draft, sink: Mapping[str, str]) -> None:
    kind = sink.get("sink.type", "")
    if kind != "kafka":
        draft.refuse(
            f"a sink of type {kind[:40] or '?'} is not imported: write it by hand, see docs/document.md", "sink.type"
        )
    prefix = "sink.kafka.producer."
    own = {name[len(prefix) :]: value for name, value in sink.items() if name.startswith(prefix)}
    take_producer(draft, own, f"debezium.{prefix}")
    take_formats(draft, sink)
    _finish_sink(draft)


def _finish_sink(draft: Draft) -> None:
    draft.sink["envelope"] = draft.envelope
    draft.sink["encoding"] = draft.encoding or {"type": "json", "schemas": "inline"}


def _written(document: dict[str, object], reports: list[Report]) -> str:
    lost = [f"#   {report.name}: {report.text}\n" for report in reports if report.is_lost]
    head = "# Made by `deltaforge import-debezium`; every key: docs/document.md.\n"
    if lost:
        head += "# What the connector did and this pipeline does not:\n" + "".join(dict.fromkeys(lost))
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
