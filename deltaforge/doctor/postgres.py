"""A PostgreSQL source: the server, the rights of the role, slot and senders, the saved position.

Publication and tables: :mod:`deltaforge.doctor.postgres_tables`.
"""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from deltaforge.checkpoint.identity import ServerIdentity
from deltaforge.core.errors import SourceError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.positions.postgres import text_from_lsn
from deltaforge.doctor import postgres_connections, postgres_tables
from deltaforge.doctor.clocks import note_clock
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.sources.postgres.catalog import Catalog, SlotState
from deltaforge.sources.postgres.client import ReplicationConnection, connect, source_errors
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.failover import check_covers, check_history, check_slot
from deltaforge.sources.postgres.session import addresses_of

CHECKS = {
    "postgres.connect": Check(
        "the server answers and lets the role in", "as the message says: address, user, password, pg_hba.conf, TLS"
    ),
    "postgres.version": Check("PostgreSQL 14 or newer", "upgrade the server"),
    "postgres.clock": Check(
        "the server's clock is ours", "let both machines keep time with NTP: lags are wrong until then"
    ),
    "postgres.wal_level": Check(
        "`wal_level` is logical", "`alter system set wal_level = logical`, then restart the server"
    ),
    "postgres.standby": Check(
        "the server is a primary, or a standby of PostgreSQL 16 or newer", "let the DSN lead to the primary"
    ),
    "postgres.rights": Check("the role may read the log", "`alter role … replication`, as a superuser"),
    "postgres.senders": Check(
        "a walsender is free", "raise `max_wal_senders` and restart the server, or end a connection that nobody needs"
    ),
    "postgres.slots": Check(
        "the slot is there, or a place for it",
        "drop a slot that nobody reads (`select pg_drop_replication_slot('…')`), or raise `max_replication_slots`",
    ),
    "postgres.slot": Check("the slot is one that this pipeline can read", "as the message says"),
    "postgres.reader": Check(
        "no other process reads the slot", "stop it (`select pg_terminate_backend(pid)`), or name another `slot`"
    ),
    "postgres.retained": Check(
        "the slot holds back little WAL", "let the pipeline run until it has caught up; raise `max_slot_wal_keep_size`"
    ),
    "postgres.keep_size": Check(
        "`max_slot_wal_keep_size` bounds what a stopped pipeline leaves on the server's disk",
        "`alter system set max_slot_wal_keep_size = '50GB'` (what the disk can spare), `select pg_reload_conf()`",
    ),
    "postgres.sender_timeout": Check(
        "`wal_sender_timeout` ends dead connections, and gives live ones time",
        "`alter system set wal_sender_timeout = '60s'`, then `select pg_reload_conf()`",
    ),
    "postgres.slot_timeout": Check(
        "`idle_replication_slot_timeout` does not end the slot of a stopped pipeline",
        "`alter system set idle_replication_slot_timeout = 0`, then `select pg_reload_conf()`",
    ),
    "postgres.position": Check("what comes after the saved position is still in the log", "as the message says"),
    **postgres_connections.CHECKS,
    **postgres_tables.CHECKS,
}

_OLDEST, _STANDBY_VERSION = 140000, 160000
_LARGE_BYTES = 1 << 30
_SHORT_MS = 5000
_SETTINGS = """
select name, setting::float8 from pg_settings
 where name in ('max_slot_wal_keep_size', 'wal_sender_timeout', 'idle_replication_slot_timeout', 'max_wal_senders',
                'max_replication_slots')
"""
_COUNTS = """
select (select count(*) from pg_stat_replication), (select count(*) from pg_replication_slots)
"""
_READER = """
select s.active_pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.client_addr::text, 'local')
  from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid
 where s.slot_name = %s and s.active
"""


def where(config: PostgresSourceConfig) -> str:
    """The address of the server."""
    return ", ".join(f"{host}:{port}" for host, port in addresses_of(config.dsn.get_secret_value())) or "local socket"


def examine(subject: Subject, config: PostgresSourceConfig, notes: Notes) -> None:
    """Ask the server of a source."""
    dsn = config.dsn.get_secret_value()
    connection = notes.result_of("postgres.connect", lambda: connect(dsn, secs=int(subject.patience_secs / 2)))
    if connection is None:
        return
    try:
        notes.ok("postgres.connect", f"the server answers at {where(config)}")
        catalog = Catalog(connection)
        _server(notes, connection, catalog, subject)
        settings = notes.result_of("postgres.wal_level", lambda: _settings(connection)) or {}
        _bounds(notes, settings)
        _slot(notes, connection, catalog, config, subject, settings)
        postgres_connections.examine(notes, connection, config, subject)
        _wire(notes, dsn, catalog, subject)
        postgres_tables.examine(notes, connection, catalog, config)
    finally:
        connection.close()


def _settings(connection: psycopg.Connection[TupleRow]) -> dict[str, float]:
    with source_errors("cannot read the settings"):
        return dict(connection.execute(_SETTINGS).fetchall())


def _server(notes: Notes, connection: psycopg.Connection[TupleRow], catalog: Catalog, subject: Subject) -> None:
    version = connection.info.server_version
    text = connection.info.parameter_status("server_version") or str(version)
    if version < _OLDEST:
        notes.error("postgres.version", f"the server is PostgreSQL {text}")
    else:
        notes.ok("postgres.version", f"PostgreSQL {text}")
    with notes.of("postgres.clock"):
        note_clock(notes, "postgres.clock", subject.clock, catalog.now)
    with notes.of("postgres.wal_level"):
        catalog.check_wal_level()
        notes.ok("postgres.wal_level", "wal_level is logical")
    with notes.of("postgres.standby"):
        if catalog.is_standby() and version < _STANDBY_VERSION:
            notes.error("postgres.standby", "the server is a standby, which has no logical decoding before version 16")


def _bounds(notes: Notes, settings: dict[str, float]) -> None:
    keeps, timeout_ms = settings.get("max_slot_wal_keep_size", 0), settings.get("wal_sender_timeout", _SHORT_MS)
    if keeps < 0:
        text = "max_slot_wal_keep_size is -1: a stopped pipeline lets WAL grow until the disk is full"
        notes.warn("postgres.keep_size", text)
    elif settings:
        notes.ok("postgres.keep_size", f"max_slot_wal_keep_size is {keeps:.0f} MB")
    if timeout_ms == 0:
        notes.warn("postgres.sender_timeout", "wal_sender_timeout is 0: a connection that died keeps the slot in use")
    elif timeout_ms < _SHORT_MS:
        notes.warn(
            "postgres.sender_timeout", f"wal_sender_timeout is {timeout_ms:.0f} ms: a busy moment ends the stream"
        )
    if settings.get("idle_replication_slot_timeout", 0) > 0:
        secs = settings["idle_replication_slot_timeout"]
        notes.warn(
            "postgres.slot_timeout", f"the server invalidates the slot of a pipeline that is stopped for {secs:.0f} s"
        )


def _slot(  # noqa: PLR0913 - what is asked, and with what the answers are compared
    notes: Notes,
    connection: psycopg.Connection[TupleRow],
    catalog: Catalog,
    config: PostgresSourceConfig,
    subject: Subject,
    settings: dict[str, float],
) -> None:
    name = config.slot
    with notes.of("postgres.slot"):
        state = catalog.slot(name)
        if state is not None:
            check_slot(state, name, catalog.database(), is_failover=False)
            notes.ok("postgres.slot", f"slot {name} is there")
            _reader(notes, connection, name, subject)
            _retained(notes, catalog, name, state, settings.get("max_slot_wal_keep_size", -1))
        saved = subject.position
        if saved is not None and isinstance(saved, PostgresPosition):
            with notes.of("postgres.position"):
                check_covers(state, name, saved, is_failover=False)
                notes.ok("postgres.position", f"slot {name} has everything behind {text_from_lsn(saved.lsn)}")
    with notes.of("postgres.slots"):
        senders, slots = connection.execute(_COUNTS).fetchone() or (0, 0)
        most_slots, most_senders = settings.get("max_replication_slots", 0), settings.get("max_wal_senders", 0)
        if state is None and slots >= most_slots:
            notes.error(
                "postgres.slots", f"all {most_slots:.0f} replication slots are in use, and slot {name} is not there"
            )
        elif state is None:
            notes.ok(
                "postgres.slots", f"slot {name} is made at the first start: {slots} of {most_slots:.0f} are in use"
            )
        if not subject.is_running and senders >= most_senders:
            notes.error("postgres.senders", f"all {most_senders:.0f} walsenders are in use")
        elif not subject.is_running:
            _for_shards(notes, "postgres.senders", "walsenders", most_senders - senders, subject)
        if state is None and slots < most_slots:
            _for_shards(notes, "postgres.slots", "replication slots", most_slots - slots, subject)


def _for_shards(notes: Notes, check: str, what: str, free: float, subject: Subject) -> None:
    if free < subject.log_count and subject.log_count > 1:
        notes.warn(check, f"{free:.0f} {what} are free, and the pipeline has {subject.log_count} shards on the server")


def _reader(notes: Notes, connection: psycopg.Connection[TupleRow], slot: str, subject: Subject) -> None:
    row = connection.execute(_READER, [slot]).fetchone()
    if row is None or subject.is_running:
        return
    pid, application, user, address = row
    who = f"process {pid} of the server" + (f", {application or 'a client'} of {user} at {address}" if user else "")
    notes.error("postgres.reader", f"slot {slot} is read by {who}")


def _retained(notes: Notes, catalog: Catalog, slot: str, state: SlotState, keeps_mb: float) -> None:
    held, limit = catalog.retained_bytes(slot) or 0, keeps_mb * (1 << 20)
    text = f"slot {slot} holds back {held:,} bytes of WAL"
    if state.is_endangered:
        notes.error("postgres.retained", f"{text}, more than max_slot_wal_keep_size: the next checkpoint may end it")
    elif held > (limit / 2 if limit > 0 else _LARGE_BYTES):
        notes.warn("postgres.retained", text)
    else:
        notes.ok("postgres.retained", text)


def _wire(notes: Notes, dsn: str, catalog: Catalog, subject: Subject) -> None:
    """A replication connection: the one thing that takes the right to read the log and a walsender."""
    with notes.of("postgres.rights"):
        catalog.check_replicates()
        try:
            wire = ReplicationConnection(dsn)
        except SourceError as error:
            if "max_wal_senders" in error.message:
                return  # noted by the count
            raise
        try:
            catalog.check_same_server(wire.server_start())
            notes.ok("postgres.rights", "the role may read the log")
            saved = subject.position
            with notes.of("postgres.position"):
                if isinstance(saved, PostgresPosition):
                    system, timeline = wire.identify()
                    check_history(wire, ServerIdentity(system, 0 if catalog.is_standby() else timeline), saved)
                elif saved is not None:
                    raise SourceError("the saved position is not one of PostgreSQL", kind="checkpoint")
        finally:
            wire.close()
