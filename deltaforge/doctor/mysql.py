"""A MySQL or MariaDB source: the server, its log, the rights of the user, the tables, the saved position."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from deltaforge.core.errors import DeltaForgeError, SourceError
from deltaforge.core.positions import MysqlPosition
from deltaforge.doctor import mysql_connections
from deltaforge.doctor.clocks import note_clock
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.sources.mysql.catalog import load_catalog
from deltaforge.sources.mysql.client import connect, execute, server_id_of
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.dsn import read_dsn
from deltaforge.sources.mysql.server import (
    WHOLE_IMAGES,
    ServerSettings,
    check_position,
    completed,
    log_faults,
    logged_databases,
    read_settings,
    tail_position,
)
from deltaforge.sources.mysql.tables import captured_tables
from deltaforge.sources.mysql.unmatched import look_for_tables
from deltaforge.sources.unmatched import PatternWatch, named

CHECKS = {
    "mysql.connect": Check(
        "the server answers and lets the user in", "as the message says: address, user, password, TLS"
    ),
    "mysql.version": Check(
        "MySQL 8.0 or newer, MariaDB 10.5 or newer", "upgrade the server; older ones are not tested"
    ),
    "mysql.clock": Check(
        "the server's clock is ours", "let both machines keep time with NTP: lags are wrong until then"
    ),
    "mysql.log": Check("`log_bin` is on", "set `log_bin` in the server's configuration and restart it"),
    "mysql.format": Check(
        "`binlog_format` is ROW", "`set global binlog_format = ROW`, and the same in the configuration"
    ),
    "mysql.image": Check(
        "`binlog_row_image` is FULL", "`set global binlog_row_image = FULL`, and in the configuration"
    ),
    "mysql.metadata": Check(
        "`binlog_row_metadata` is FULL", "`set global binlog_row_metadata = FULL`, and the same in the configuration"
    ),
    "mysql.gtid": Check(
        "MySQL has GTIDs, which a failover needs", "`gtid_mode = ON` and `enforce_gtid_consistency = ON`"
    ),
    "mysql.server_id": Check("`server_id` is not 0", "`set global server_id = 1`, a number that no other server has"),
    "mysql.retention": Check(
        "binary logs are kept for a day at least",
        "`set global binlog_expire_logs_seconds = 604800`, in the configuration too",
    ),
    "mysql.filter": Check(
        "no captured database is left out of the log",
        "take `binlog_do_db`, `binlog_ignore_db` out of the configuration",
    ),
    "mysql.replica": Check(
        "a replica logs what it replicates",
        "`log_replica_updates = ON` (MariaDB: `log_slave_updates`), or read the primary",
    ),
    "mysql.rights": Check("the user may read the log", "`grant replication slave, replication client on *.* to …`"),
    "mysql.tables": Check("every table pattern matches a table", "correct the pattern, or `grant select on db.* to …`"),
    "mysql.definitions": Check("the definition of every captured table is understood", "as the message says"),
    "mysql.keys": Check(
        "every captured table has a primary key", "`alter table … add primary key (…)`: without, rows have no key"
    ),
    "mysql.reader": Check(
        "no other process reads with this source id", "give the source an `id` of its own, or stop the other process"
    ),
    "mysql.position": Check("what comes after the saved position is still in the log", "as the message says"),
    **mysql_connections.CHECKS,
}

_DAY_SECS = 86_400
_OLDEST = {"mysql": (8, 0), "mariadb": (10, 5)}
_VARIABLES = (
    "version", "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "gtid_mode", "server_id",
    "binlog_expire_logs_seconds", "binlog_expire_logs_auto_purge", "expire_logs_days", "log_replica_updates",
    "log_slave_updates",
)  # fmt: skip


def where(config: MysqlSourceConfig) -> str:
    """The address of the server."""
    given = read_dsn(config.dsn.get_secret_value())
    return f"{given.host}:{given.port}"


def examine(subject: Subject, config: MysqlSourceConfig, notes: Notes) -> None:
    """Ask the server of a source."""
    connection = notes.result_of(
        "mysql.connect", lambda: connect(config.dsn.get_secret_value(), secs=subject.patience_secs / 2)
    )
    if connection is None:
        return
    try:
        notes.ok("mysql.connect", f"the server answers at {where(config)}")
        variables = notes.result_of("mysql.version", lambda: _variables(connection))
        if variables is not None:
            _server(notes, variables, connection, subject)
            _log(notes, variables)
            mysql_connections.examine(notes, connection, config, subject)
        server = notes.result_of("mysql.log", lambda: read_settings(connection)) if _can_read(variables) else None
        if server is not None:
            _rights(notes, connection, server)
            _tables(notes, connection, config, server)
            _readers(notes, connection, config, subject)
            _position(notes, connection, server, subject)
    finally:
        connection.close()


def _variables(connection: Connection[Any]) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    rows = execute(connection, f"show global variables where variable_name in ({names})")
    return {str(name): str(value) for name, value in rows}


def _can_read(variables: dict[str, str] | None) -> bool:
    return variables is not None and not [*_log_faults(variables)]


def _log_faults(variables: dict[str, str]) -> list[SourceError]:
    has_log = variables.get("log_bin", "").upper() in ("ON", "1")
    return list(log_faults(has_log=has_log, log_format=variables.get("binlog_format", "")))


def _server(notes: Notes, variables: dict[str, str], connection: Connection[Any], subject: Subject) -> None:
    version = variables.get("version", "")
    flavor = "mariadb" if "mariadb" in version.lower() else "mysql"
    numbers = tuple(int(part) if part.isdigit() else 0 for part in version.split("-")[0].split(".")[:2])
    if numbers < _OLDEST[flavor]:
        notes.warn("mysql.version", f"the server is {flavor} {version}")
    else:
        notes.ok("mysql.version", f"{flavor} {version}")
    with notes.of("mysql.clock"):
        sql = "select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1e6"
        note_clock(notes, "mysql.clock", subject.clock, lambda: float(execute(connection, sql)[0][0]))


def _log(notes: Notes, variables: dict[str, str]) -> None:
    faults = _log_faults(variables)
    for fault in faults:
        notes.error("mysql.format" if "binlog_format" in fault.message else "mysql.log", fault.message)
    if not faults:
        notes.ok("mysql.log", "the server writes a binary log of rows")
    image, metadata = variables.get("binlog_row_image", "FULL"), variables.get("binlog_row_metadata", "NO_LOG")
    if image not in WHOLE_IMAGES:
        notes.warn("mysql.image", f"binlog_row_image is {image}: images hold only some columns")
    if metadata != "FULL":
        text = "definitions of tables come from the catalog at the first start, and from DDL in the log since then"
        notes.warn("mysql.metadata", f"binlog_row_metadata is {metadata}: {text}")
    if variables.get("gtid_mode", "ON") != "ON":
        notes.warn("mysql.gtid", f"gtid_mode is {variables['gtid_mode']}: a failover loses the position")
    if variables.get("server_id") == "0":
        notes.error("mysql.server_id", "server_id is 0: the server sends its log to nobody")
    kept = _kept_secs(variables)
    if kept is not None and kept < _DAY_SECS:
        notes.warn("mysql.retention", f"binary logs are kept for {kept:.0f} s: a longer stop loses the position")
    else:
        notes.ok(
            "mysql.retention",
            "binary logs are kept " + ("until somebody removes them" if kept is None else f"for {kept:.0f} s"),
        )


def _kept_secs(variables: dict[str, str]) -> float | None:
    """How long binary logs are kept; None: they are not removed by age."""
    if variables.get("binlog_expire_logs_auto_purge", "ON").upper() in ("OFF", "0"):
        return None
    secs = float(variables.get("binlog_expire_logs_seconds", "0"))
    return secs or float(variables.get("expire_logs_days", "0")) * _DAY_SECS or None


def _rights(notes: Notes, connection: Connection[Any], server: ServerSettings) -> None:
    with notes.of("mysql.rights"):
        tail_position(connection, server)
        _check_replication_slave(connection, server)
        notes.ok("mysql.rights", "the user may read the log")


def _check_replication_slave(connection: Connection[Any], server: ServerSettings) -> None:
    """Ask for something that takes the right; on MariaDB, where nothing is known that takes this one alone, for the
    grants.

    Raises:
        SourceError: The user has it not.
    """
    if server.flavor == "mariadb":
        grants = " ".join(str(row[0]).upper() for row in execute(connection, "show grants"))
        is_granted = (
            "REPLICATION SLAVE" in grants.replace("REPLICATION SLAVE ADMIN", "") or "ALL PRIVILEGES ON *.*" in grants
        )
    else:
        is_granted = _replicas(connection) is not None
    if not is_granted:
        ((user,),) = execute(connection, "select current_user()")
        name, _, host = str(user).rpartition("@")
        hint = f"as an administrator: grant REPLICATION SLAVE, REPLICATION CLIENT on *.* to '{name}'@'{host}'"
        raise SourceError("the user may not read the binary log", kind="permission", hint=hint)


def _replicas(connection: Connection[Any]) -> list[tuple[Any, ...]] | None:
    """Who reads the log; None if the user may not know."""
    for sql in ("show replicas", "show slave hosts"):
        try:
            return execute(connection, sql)
        except SourceError:
            continue
    return None


def _tables(notes: Notes, connection: Connection[Any], config: MysqlSourceConfig, server: ServerSettings) -> None:
    patterns = captured_tables(config)
    patterns.ignores_case = server.folds_names
    watch = PatternWatch(config.id, {"tables": patterns})
    with notes.of("mysql.tables"):
        look_for_tables(connection, watch)
        catalog = load_catalog(connection)
        captured = sorted(table for table in {*catalog.tables, *catalog.errors} if patterns.matches(*table))
        for pattern, reason in watch.reasons.items():
            notes.warn("mysql.tables", f"table pattern {pattern}: {reason}")
        if not captured:
            notes.error("mysql.tables", "no table is captured")
        elif not watch.reasons:
            notes.ok("mysql.tables", f"{len(captured)} table{'s' * (len(captured) > 1)}: {named(captured)}")
        for table in captured:
            if table in catalog.errors:
                notes.error("mysql.definitions", catalog.errors[table])
        keyless = [t for t in captured if t in catalog.tables and not catalog.tables[t].schema.primary_key]
        if keyless:
            notes.warn("mysql.keys", f"without a primary key: {named(keyless)}")
        elif captured:
            notes.ok("mysql.keys", "every captured table has a primary key")
        _filters(notes, connection, server, {db for db, _ in captured})


def _filters(notes: Notes, connection: Connection[Any], server: ServerSettings, databases: set[str]) -> None:
    try:
        only, ignored = logged_databases(connection, server)
    except DeltaForgeError:
        return  # the right for it is missing, which is noted by its own check
    left_out = sorted(db for db in databases if db in ignored or (only and db not in only))
    if left_out:
        notes.error("mysql.filter", f"changes of {', '.join(left_out)} are not written to the binary log")
    with notes.of("mysql.replica"):
        variables = _variables(connection)
        logs = variables.get("log_replica_updates", variables.get("log_slave_updates", "ON"))
        if logs.upper() in ("OFF", "0") and _is_replica(connection, server):
            notes.error("mysql.replica", "the server is a replica that does not log what it replicates")


def _is_replica(connection: Connection[Any], server: ServerSettings) -> bool:
    sql = "show all slaves status" if server.flavor == "mariadb" else "show replica status"
    return bool(execute(connection, sql))


def _readers(notes: Notes, connection: Connection[Any], config: MysqlSourceConfig, subject: Subject) -> None:
    if subject.is_running:
        return
    ours = server_id_of(config.id)
    if any(str(row[0]) == str(ours) for row in _replicas(connection) or ()):
        text = (
            f"the server has a reader with the source id {config.id}: another process, or one that ended a moment ago"
        )
        notes.warn("mysql.reader", text)


def _position(notes: Notes, connection: Connection[Any], server: ServerSettings, subject: Subject) -> None:
    if subject.position is None:
        return
    with notes.of("mysql.position"):
        if not isinstance(subject.position, MysqlPosition):
            raise SourceError("the saved position is not one of MySQL", kind="checkpoint")
        check_position(connection, server, completed(connection, server, subject.position))
        notes.ok("mysql.position", "everything behind the saved position is in the log")
