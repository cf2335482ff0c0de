"""The first document of a pipeline, written from the addresses of its source and its sink: ``deltaforge init``.

A password that an address holds is not written: the document names an environment variable instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from deltaforge.core.errors import SpecError

SOURCE_FORMS = "postgres://user@host:5432/database or mysql://user@host:3306/database"
SINK_FORMS = "kafka://host:9092/topic, redis://host:6379/0, file:changes.jsonl or stdout"

_SOURCES = {"postgres": "postgres", "postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_VARIABLES = {"postgres": "PGPASSWORD", "mysql": "MYSQL_PASSWORD", "kafka": "KAFKA_PASSWORD", "redis": "REDIS_PASSWORD"}
_SNAPSHOT = "      snapshot: {mode: initial}     # first the rows that are there; never: changes alone"
_HOSTS = re.compile(r"[A-Za-z0-9._\[\]:,-]+")


@dataclass(frozen=True)
class Starter:
    """A document and what has to be done before it runs.

    Attributes:
        name: Of the pipeline.
        text: The document, with comments.
        variables: Those that it names and that have to be set.
        statements: What an administrator of the source has to run; ``…`` stands for the password.
        settings: What the configuration of the source's server needs.
    """

    name: str
    text: str
    variables: list[str]
    statements: list[str]
    settings: str


@dataclass(frozen=True)
class _Source:
    """The part of the document, and what belongs to it."""

    type: str
    lines: list[str]
    variables: list[str]
    statements: list[str]
    settings: str
    destination: str  # what names the table of an event, in a template


def default_name(source: str) -> str:
    """A name for the pipeline of a source: that of its database.

    Raises:
        SpecError: It is no address of a source.
    """
    _, parts = source_parts(source)
    return re.sub(r"[^a-z0-9-]+", "-", _database(parts).lower()).strip("-") or "pipeline"


def write_starter(source: str, sink: str, *, tables: Sequence[str], name: str, tenant: str) -> Starter:
    """The document for a source and a sink.

    Args:
        source: One of :data:`SOURCE_FORMS`.
        sink: One of :data:`SINK_FORMS`.
        tables: Table patterns; empty: those of the database that the source names.
        name: Of the pipeline.
        tenant: Of its events.

    Raises:
        SpecError: An address is none.
    """
    kind, parts = source_parts(source)
    read = (_postgres if kind == "postgres" else _mysql)(parts, tables, name)
    sink_lines, sink_variables = _sink(sink, name, read.destination)
    lines = [
        "# A pipeline of DeltaForge. `deltaforge doctor` says whether it will run here; every key: docs/document.md.",
        "# ${NAME} is an environment variable, ${NAME:-text} one with a default; both may stand anywhere.",
        "metadata:",
        f"  name: {_quoted(name)}",
        f"  tenant: {_quoted(tenant)}          # in every event, as tenant_id",
        "spec:",
        *read.lines,
        "  processors: []",
        "  sinks:",
        *sink_lines,
        "  # journal: {enabled: true}     # keep an event that cannot be delivered, instead of stopping",
        "",
    ]
    return Starter(name, "\n".join(lines), read.variables + sink_variables, read.statements, read.settings)


def source_parts(source: str) -> tuple[str, SplitResult]:
    """The type of a source and the parts of its address.

    Raises:
        SpecError: It is none.
    """
    parts = _split(source, "source", SOURCE_FORMS)
    kind = _SOURCES.get(parts.scheme)
    if kind is None or not parts.hostname or parts.query or parts.fragment:
        raise SpecError("the source is no address of a database", hint=f"write {SOURCE_FORMS}")
    return kind, parts


def _split(address: str, what: str, forms: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = None if "," in parts.netloc else parts.port
    except ValueError as exc:
        raise SpecError(f"the {what} cannot be read", hint=f"write {forms}") from exc
    if any(not char.isprintable() for char in address) or "${" in address:
        raise SpecError(f"the {what} cannot be read", hint=f"write {forms}; variables are put in for passwords")
    return parts


def _database(parts: SplitResult) -> str:
    return unquote(parts.path.strip("/"))


def _login(kind: str, parts: SplitResult, default_user: str) -> tuple[str, list[str]]:
    """User and a variable for the password, and the variables that have to be set."""
    variable = _VARIABLES[kind]
    user = parts.username or default_user
    if parts.password:
        return f"{user}:${{{variable}}}", [variable]
    return f"{user}:${{{variable}:-}}", []


def _postgres(parts: SplitResult, tables: Sequence[str], name: str) -> _Source:
    login, variables = _login("postgres", parts, "postgres")
    database, path = _database(parts) or "postgres", parts.path.strip("/") or "postgres"
    slot = re.sub(r"[^a-z0-9_]+", "_", f"deltaforge_{name}".lower())[:63]
    patterns = list(tables) or ["public.*"]
    lines = [
        "  source:",
        "    type: postgres",
        "    config:",
        f"      id: {_quoted(f'{name}-source')}     # the saved position is kept under this id: do not change it",
        "      # A password in a URL is percent-encoded (%40 for @), also the one in the variable.",
        f"      dsn: {_quoted(f'postgres://{login}@{_host(parts, 5432)}/{path}')}",
        f"      publication: {slot}   # has to be there: nothing but what it names is sent",
        f"      slot: {slot}          # made at the first start; keeps WAL on the server while the pipeline is stopped",
        f"      tables: {_quoted(patterns)}",
        _SNAPSHOT,
    ]
    role = _identifier(unquote(parts.username or "postgres"))
    statements = [
        f"create role {role} login replication password '…'",
        f"grant connect on database {_identifier(database)} to {role}",
        *_readable(patterns, role),
        f"create publication {slot} for {_published(patterns)}",
    ]
    settings = "wal_level = logical (alter system set wal_level = logical, then a restart)"
    return _Source("postgres", lines, variables, statements, settings, "${source.schema}.${source.table}")


def _readable(patterns: Sequence[str], role: str) -> list[str]:
    """What lets a role copy the rows that are there: the schemas, if they are spelled out, else all of them."""
    schemas = dict.fromkeys(pattern.split(".", 1)[0] if "." in pattern else "public" for pattern in patterns)
    if any(set(schema) & set('*%`"!') for schema in schemas):
        return [f"grant pg_read_all_data to {role}"]
    named = ", ".join(map(_identifier, schemas))
    return [f"grant usage on schema {named} to {role}", f"grant select on all tables in schema {named} to {role}"]


def _published(patterns: Sequence[str]) -> str:
    """What a publication has to name for these patterns: the tables, if they are spelled out."""
    tables = [pattern.split(".", 1) if "." in pattern else ["public", pattern] for pattern in patterns]
    is_exact = all(half and not set(half) & set('*%`"!') for table in tables for half in table)
    if not is_exact:
        return "all tables"
    return "table " + ", ".join(f"{_identifier(schema)}.{_identifier(table)}" for schema, table in tables)


def _mysql(parts: SplitResult, tables: Sequence[str], name: str) -> _Source:
    login, variables = _login("mysql", parts, "root")
    database, path = _database(parts), parts.path.strip("/")
    patterns = list(tables) or ([f"{database}.*"] if database else [])
    lines = [
        "  source:",
        "    type: mysql     # MariaDB, too",
        "    config:",
        f"      id: {_quoted(f'{name}-source')}     # the saved position is kept under this id: do not change it",
        "      # A password in a URL is percent-encoded (%40 for @), also the one in the variable.",
        f"      dsn: {_quoted(f'mysql://{login}@{_host(parts, 3306)}/{path}')}",
        f"      tables: {_quoted(patterns)}" + ("" if patterns else "     # all of them"),
        _SNAPSHOT,
    ]
    user = "'" + unquote(parts.username or "root").replace("'", "''") + "'@'%'"
    seen = f"`{database.replace('`', '``')}`.*" if database else "*.*"
    statements = [
        f"create user {user} identified by '…'",
        # MariaDB has no such right, and takes the comment for one
        f"grant replication slave, replication client /*!80000 , xa_recover_admin */ on *.* to {user}",
        f"grant select on {seen} to {user}",
    ]
    settings = "log_bin, binlog_format = ROW, binlog_row_image = FULL, binlog_row_metadata = FULL"
    return _Source("mysql", lines, variables, statements, settings, "${source.db}.${source.table}")


def _sink(address: str, name: str, table: str) -> tuple[list[str], list[str]]:
    if address == "stdout":
        return ["    - type: stdout", "      config: {id: screen}"], []
    parts = _split(address, "sink", SINK_FORMS)
    writers: dict[str, Callable[[SplitResult, str, str], tuple[list[str], list[str]]]] = {
        "kafka": _kafka,
        "redis": _redis,
        "rediss": _redis,
        "file": _file,
    }
    writer = writers.get(parts.scheme)
    if writer is None or parts.query or parts.fragment:
        raise SpecError("the sink is no address that is known", hint=f"write {SINK_FORMS}")
    return writer(parts, name, table)


def _kafka(parts: SplitResult, name: str, table: str) -> tuple[list[str], list[str]]:
    login, _, hosts = parts.netloc.rpartition("@")
    if not _HOSTS.fullmatch(hosts):
        raise SpecError("the sink names no brokers", hint="write kafka://host:9092,host2:9092/topic")
    brokers = ",".join(host if ":" in host else f"{host}:9092" for host in hosts.split(","))
    topic = unquote(parts.path.strip("/")) or f"{_topic_name(name)}.{table}"
    lines = [
        "    - type: kafka",
        "      config:",
        "        id: kafka",
        f"        brokers: {_quoted(brokers)}",
        f"        topic: {_quoted(topic)}",
        "        # The key is the primary key, as JSON: the changes of a row stay in order, and deletes have it.",
        "        # exactly_once: true     # Kafka transactions that hold the source position, too",
    ]
    if not login:
        return lines, []
    user, _, _ = login.partition(":")
    settings = {"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.username": unquote(user)}
    lines.append("        client_conf:     # settings of librdkafka")
    lines += [f"          {key}: {_quoted(value)}" for key, value in settings.items()]
    lines.append(f"          sasl.password: {_quoted('${KAFKA_PASSWORD}')}")
    return lines, ["KAFKA_PASSWORD"]


def _redis(parts: SplitResult, name: str, table: str) -> tuple[list[str], list[str]]:
    if not parts.hostname:
        raise SpecError("the sink names no host", hint="write redis://host:6379/0")
    login, variables = "", list[str]()
    if parts.password:
        login, variables = f"{parts.username or ''}:${{{_VARIABLES['redis']}}}@", [_VARIABLES["redis"]]
    uri = f"{parts.scheme}://{login}{_host(parts, 6379)}/{parts.path.strip('/') or '0'}"
    return [
        "    - type: redis",
        "      config:",
        "        id: redis",
        f"        uri: {_quoted(uri)}",
        f"        stream: {_quoted(f'{name}:{table}')}",
    ], variables


def _file(parts: SplitResult, _name: str, _table: str) -> tuple[list[str], list[str]]:
    path = unquote(parts.path)
    if not path or path.endswith("/") or parts.netloc:
        raise SpecError("the sink names no file", hint="write file:changes.jsonl or file:///var/lib/changes.jsonl")
    return [
        "    - type: file     # a line of JSON for each event",
        "      config:",
        "        id: file",
        f"        path: {_quoted(path)}     # in a folder that is there",
    ], []


def _host(parts: SplitResult, port: int) -> str:
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or port}"


def _topic_name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", name)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(value: object) -> str:
    """A value as YAML: JSON is YAML, and nothing in it is taken for something else."""
    return json.dumps(value, ensure_ascii=False)
