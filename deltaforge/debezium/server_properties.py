"""Properties that say which server is read, and how."""

from __future__ import annotations

from deltaforge.debezium.draft import Draft
from deltaforge.debezium.names import split_list
from deltaforge.debezium.properties import MYSQL, POSTGRES, Property, elsewhere, lost, needless, number

_DSN = "Part of `source.config.dsn`"
_TLS = f"{_DSN}: its parameter "
_HISTORY = "the definitions of tables are kept beside the position, in the state directory"
_SIGNALS = "copies are asked for over REST or with `deltaforge snapshot`, without a table or topic for signals"
_STOPS = "what cannot be read stops the pipeline; `deltaforge skip` goes past one event, on purpose"
_LINEAGE = "there is no OpenLineage client"


def _plugin(draft: Draft, value: str) -> None:
    if value.strip() != "pgoutput":
        draft.note("pgoutput is read, with a slot of its own, since a slot is bound to its plug-in")


def _publication(draft: Draft, value: str) -> None:
    if value.strip().lower() != "disabled":
        draft.note("a publication is never made here: `doctor` has the statement if it is missing")


def _truststore(draft: Draft, _value: str) -> None:
    draft.note("Java key stores are not read here: put PEM files into ssl-ca, ssl-cert and ssl-key of the DSN")


def _initial_statements(draft: Draft, value: str) -> None:
    if value.strip():
        draft.refuse("sessions are told what they need to print values as they are, and nothing else")


def _messages(draft: Draft, value: str) -> None:
    if split_list(value) not in ([], [".*"]):
        draft.refuse("logical messages are taken all or none")


def _slot_failover(draft: Draft, value: str) -> None:
    if value.strip().lower() == "true":
        draft.note("a slot is made without it; make it by hand with failover => true before the first start")


def _drop_on_stop(draft: Draft, value: str) -> None:
    if value.strip().lower() == "true":
        draft.note("a slot stays until `deltaforge delete --drop-slot`: without it changes are lost between two runs")


def _heartbeat(draft: Draft, value: int) -> None:
    if value:
        draft.source["heartbeat_interval_ms"] = value


PROPERTIES: tuple[Property, ...] = (
    Property("database.hostname", f"{_DSN}.", elsewhere),
    Property("database.port", f"{_DSN}.", elsewhere),
    Property("database.user", f"{_DSN}.", elsewhere),
    Property("database.password", f"{_DSN}: an environment variable, unless `--with-secrets` is given.", elsewhere),
    Property("database.dbname", f"{_DSN}.", elsewhere, POSTGRES),
    Property("database.ssl.mode", f"{_TLS}`ssl-mode`.", elsewhere, MYSQL),
    *(
        Property(name, "PEM files: `ssl-ca`, `ssl-cert` and `ssl-key` of the DSN.", _truststore, MYSQL)
        for name in ("database.ssl.truststore", "database.ssl.keystore")
    ),
    *(
        needless(name, "the DSN names PEM files", MYSQL)
        for name in ("database.ssl.truststore.password", "database.ssl.keystore.password")
    ),
    Property("database.sslmode", f"{_TLS}`sslmode`.", elsewhere, POSTGRES),
    Property("database.sslrootcert", f"{_TLS}`sslrootcert`.", elsewhere, POSTGRES),
    Property("database.sslcert", f"{_TLS}`sslcert`.", elsewhere, POSTGRES),
    Property("database.sslkey", f"{_TLS}`sslkey`, a PEM file; Java's driver wants PKCS 8 in DER.", elsewhere, POSTGRES),
    Property("database.sslpassword", f"{_TLS}`sslpassword`.", elsewhere, POSTGRES),
    needless("database.sslfactory", "`sslmode` says how much is checked", POSTGRES),
    needless("database.tcpKeepAlive", "probes are always sent", POSTGRES),
    Property("database.initial.statements", "None: sessions get our settings only.", _initial_statements),
    needless("database.protocol", "there is no JDBC", MYSQL),
    needless("database.jdbc.driver", "there is no JDBC", MYSQL),
    needless("driver.<name>", "there is no JDBC; TLS and time-outs stand in the DSN"),
    needless("database.query.timeout.ms", "queries of the catalog have bounds of their own"),
    needless("connect.timeout.ms", "it is 30 s", MYSQL),
    needless("connect.keep.alive", "heartbeats of the server are asked for, and a silent one is left", MYSQL),
    needless("connect.keep.alive.interval.ms", "heartbeats come every 15 s", MYSQL),
    needless("use.nongraceful.disconnect", "a silent connection is closed by its own socket", MYSQL),
    needless("connection.validation.timeout.ms", "`deltaforge doctor` tries the connection"),
    needless("database.server.id", "the replica id follows from the id of the source", MYSQL),
    needless("database.server.id.offset", "copies read with ordinary connections", MYSQL),
    needless("binlog.buffer.size", "a transaction is handed on when it is committed", MYSQL),
    needless("binlog.net.read.timeout", "the session sets what it needs", MYSQL),
    needless("binlog.net.write.timeout", "the session sets what it needs", MYSQL),
    lost("gtid.source.includes", "every transaction of the log is read", "", kinds=MYSQL),
    lost("gtid.source.excludes", "every transaction of the log is read", "", kinds=MYSQL),
    needless("gtid.source.filter.dml.events", "it belongs to the lists of GTID sources", MYSQL),
    needless("gtid.ignore.on.recovery", "a position has GTIDs and file and offset, and the right one is used", MYSQL),
    lost("event.deserialization.failure.handling.mode", _STOPS, "fail", kinds=MYSQL),
    lost("event.processing.failure.handling.mode", _STOPS, "fail"),
    needless("event.converting.failure.handling.mode", _STOPS),
    lost("inconsistent.schema.handling.mode", _STOPS, "fail", kinds=MYSQL),
    needless("internal.log.position.check.enable", "a position that is gone always stops the pipeline"),
    needless("ddl.parser.type", "statements are read by one parser, and checked against the log", MYSQL),
    needless("schema.history.internal", _HISTORY, MYSQL),
    needless("schema.history.internal.<name>", _HISTORY, MYSQL),
    needless("memory.management.schemas.class", _HISTORY),
    needless("memory.management.tables.class", _HISTORY),
    Property("plugin.name", "`pgoutput` is the one that is read.", _plugin, POSTGRES),
    Property("slot.name", "`source.config.slot`", elsewhere, POSTGRES),
    Property("publication.name", "`source.config.publication`", elsewhere, POSTGRES),
    Property("publication.autocreate.mode", "None: a publication is made by its owner.", _publication, POSTGRES),
    needless("publish.via.partition.root", "it is a property of the publication", POSTGRES),
    lost(
        "replica.identity.autoset.values",
        "tables are not altered: `alter table … replica identity` once",
        "",
        kinds=POSTGRES,
    ),
    Property("slot.drop.on.stop", "None: a slot outlives its reader.", _drop_on_stop, POSTGRES),
    Property("slot.failover", "None: make the slot with `failover => true`.", _slot_failover, POSTGRES),
    needless("slot.max.retries", "a connection is tried again for as long as it takes", POSTGRES),
    needless("slot.retry.delay.ms", "pauses grow from 1 s to 60 s", POSTGRES),
    lost("slot.stream.params", "pgoutput is told what the document needs", "", kinds=POSTGRES),
    needless("status.update.interval.ms", "the server is told of a saved position within a second", POSTGRES),
    needless("flush.lsn.source", "a position is confirmed when it is saved, and never before", POSTGRES),
    needless("lsn.flush.mode", "a position is confirmed when it is saved, and never before", POSTGRES),
    needless("lsn.flush.timeout.ms", "confirming waits for nothing", POSTGRES),
    needless("lsn.flush.timeout.action", "confirming waits for nothing", POSTGRES),
    needless("offset.mismatch.strategy", "a slot ahead of the saved position always stops the pipeline", POSTGRES),
    needless("internal.slot.seek.to.known.offset.on.start", "reading begins at the saved position", POSTGRES),
    needless("internal.create.slot.command.timeout", "making a slot waits for open transactions", POSTGRES),
    needless("schema.refresh.mode", "each relation message of the log is taken", POSTGRES),
    Property("message.prefix.include.list", "None: logical messages are taken all or none.", _messages, POSTGRES),
    lost("message.prefix.exclude.list", "logical messages are taken all or none", "", kinds=POSTGRES),
    needless("read.only", "nothing is ever written to the source"),
    *(
        needless(name, _SIGNALS)
        for name in (
            "signal.data.collection",
            "signal.enabled.channels",
            "signal.poll.interval.ms",
            "signal.kafka.<name>",
            "signal.consumer.<name>",
            "signal.file",
        )
    ),
    *(
        needless(name, "what goes on is told by the log, metrics and REST")
        for name in ("notification.enabled.channels", "notification.sink.topic.name")
    ),
    *(
        needless(f"openlineage.integration.{name}", _LINEAGE)
        for name in (
            "enabled",
            "config.file.path",
            "dataset.kafka.bootstrap.servers",
            "job.description",
            "job.namespace",
            "job.owners",
            "job.tags",
        )
    ),
    needless("internal.advanced.metrics.enable", "metrics are Prometheus', at /metrics"),
    needless("statistics.metrics.enabled", "metrics are Prometheus', at /metrics"),
    needless("custom.metric.tags", "labels of the document are labels of the metrics"),
    needless("custom.sanitize.pattern", "what the log hides are the secrets of the document themselves"),
    needless("errors.max.retries", "what may pass is tried again for as long as it takes"),
    needless("retriable.restart.connector.wait.ms", "pauses grow from 1 s to 60 s"),
    needless("internal.custom.retriable.exception", "which errors pass is known by their kind"),
    needless("executor.shutdown.timeout.ms", "`DELTAFORGE_STOP_SECS` bounds a stop"),
    needless("max.batch.size", "`batch.max_events` and `batch.max_bytes` have defaults that were measured"),
    needless("max.queue.size", "queues are bounded by bytes"),
    needless("max.queue.size.in.bytes", "queues are bounded by bytes"),
    needless("queue.provider.type", "queues are bounded by bytes"),
    needless("poll.interval.ms", "what is there is taken at once"),
    needless("query.fetch.size", "results are read as a stream"),
    needless("guardrail.collections.max", "tables are named by their patterns"),
    needless("guardrail.collections.limit.action", "tables are named by their patterns"),
    needless("streaming.delay.ms", "streaming never waits for a copy"),
    needless("table.ignore.builtin", "system schemas are never captured"),
    number("heartbeat.interval.ms", _heartbeat, "`source.config.heartbeat_interval_ms`"),
    needless("heartbeat.action.query", "an idle log is confirmed without a write to the source"),
)
