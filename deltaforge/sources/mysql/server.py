"""What a MySQL or MariaDB server says of itself, and whether our position is still in its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import SourceError
from deltaforge.core.positions.gtid import GtidSet, MariadbGtids, split_mariadb_gtid
from deltaforge.core.positions.mysql import FIRST_EVENT, MysqlPosition
from deltaforge.sources.failover import lost
from deltaforge.sources.mysql.client import MAX_DUMP_OFFSET, execute, query_row, replication_rights

log = logging.getLogger(__name__)

_END_STATEMENTS = {
    "mariadb": ("show master status", "show binlog status"),
    "mysql": ("show binary log status", "show master status"),
}

WHOLE_IMAGES = ("FULL", "FULL_NODUP")
"""Of ``binlog_row_image``: MariaDB's second leaves out of new images what the old ones have."""


class ServerSettings(msgspec.Struct, frozen=True):
    """One server. ``uuid`` is ``server_uuid``; MariaDB has none, there it is server id and host name.

    ``folds_names``: it holds names of tables and databases in lower case, whatever a statement says.
    """

    flavor: str
    version: str
    uuid: str
    has_gtids: bool
    has_full_metadata: bool
    folds_names: bool = False


def read_settings(connection: Connection[Any]) -> ServerSettings:
    """Check the settings that reading the log needs, and say who the server is.

    Raises:
        SourceError: A setting is wrong; the hint names it.
    """
    ((version, log_bin, log_format, image, name_case),) = execute(
        connection,
        "select version(), @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image,"
        " @@global.lower_case_table_names",
    )
    folds_names = int(name_case) == 1
    for fault in log_faults(has_log=bool(log_bin), log_format=str(log_format)):
        raise fault
    if image not in WHOLE_IMAGES:
        log.warning("binlog_row_image is %s: images hold only some columns", image)
    is_mariadb = "mariadb" in str(version).lower()
    settings = {
        str(name): str(value) for name, value in execute(connection, "show global variables like 'binlog_row_metadata'")
    }
    has_full = settings.get("binlog_row_metadata", "").upper() == "FULL"
    if not has_full:
        log.warning("binlog_row_metadata is not FULL: table definitions are kept in a schema history")
    if is_mariadb:
        ((identity,),) = execute(connection, "select concat(@@server_id, '@', @@hostname)")
        return ServerSettings(
            "mariadb",
            str(version),
            str(identity),
            has_gtids=True,
            has_full_metadata=has_full,
            folds_names=folds_names,
        )
    ((identity, mode),) = execute(connection, "select @@server_uuid, @@global.gtid_mode")
    return ServerSettings("mysql", str(version), str(identity), mode == "ON", has_full, folds_names)


def log_faults(*, has_log: bool, log_format: str) -> Iterator[SourceError]:
    """What is wrong with the log of a server so that it cannot be read, each with its remedy."""
    if not has_log:
        yield SourceError("the server writes no binary log", kind="incompatible", hint="set log_bin and restart it")
    elif log_format != "ROW":
        message = f"binlog_format is {log_format}, expected ROW"
        yield SourceError(message, kind="incompatible", hint="set binlog_format=ROW")


def tail_position(connection: Connection[Any], server: ServerSettings) -> MysqlPosition:
    """Where the log ends now."""
    if server.flavor == "mariadb":
        row = _status(connection, _END_STATEMENTS["mariadb"])
        file, pos = str(row["File"]), int(row["Position"])
        return MysqlPosition(file, pos, _mariadb_gtids(connection, file, pos), "mariadb", server.uuid)
    row = _status(connection, _END_STATEMENTS["mysql"])
    gtids = str(row.get("Executed_Gtid_Set") or "").replace("\n", "") if server.has_gtids else ""
    return MysqlPosition(str(row["File"]), int(row["Position"]), str(GtidSet(gtids)), "mysql", server.uuid)


def logged_databases(connection: Connection[Any], server: ServerSettings) -> tuple[list[str], list[str]]:
    """The databases that the server alone logs, and those that it does not log: ``binlog_do_db``,
    ``binlog_ignore_db``. Empty: all, none.
    """
    row = _status(connection, _END_STATEMENTS[server.flavor])
    only, ignored = (
        [name.strip() for name in str(row.get(column) or "").split(",") if name.strip()]
        for column in ("Binlog_Do_DB", "Binlog_Ignore_DB")
    )
    return only, ignored


def oldest_position(connection: Connection[Any], server: ServerSettings) -> MysqlPosition:
    """Where the oldest binary log begins that the server still has.

    Raises:
        SourceError: The definitions of the tables there cannot be known.
    """
    if not server.has_full_metadata:
        raise SourceError(
            "the table definitions at the beginning of the binary log are not known",
            kind="incompatible",
            hint="reset the checkpoint to latest; with binlog_row_metadata=FULL the log itself holds them",
        )
    file = str(_binary_logs(connection)[0][0])
    if server.flavor == "mariadb":
        return MysqlPosition(file, FIRST_EVENT, _mariadb_gtids(connection, file, FIRST_EVENT), "mariadb", server.uuid)
    ((purged,),) = execute(connection, "select @@global.gtid_purged")
    return MysqlPosition(file, FIRST_EVENT, str(_gtids(purged)), "mysql", server.uuid)


def completed(connection: Connection[Any], server: ServerSettings, position: MysqlPosition) -> MysqlPosition:
    """A position that an operator gave, with what only the server knows; any other position as it is.

    Raises:
        SourceError: It lacks the GTID set, without which reading would later begin at the wrong place.
    """
    if position.flavor:
        return position
    gtids = position.gtid_set
    if not gtids and server.flavor == "mariadb":
        gtids = _mariadb_gtids(connection, position.file, position.pos)
    elif not gtids and server.has_gtids:
        ((executed,),) = execute(connection, "select @@global.gtid_executed")
        if _gtids(executed):
            raise SourceError(
                "the position has no gtid_set, and the server has GTIDs",
                kind="checkpoint",
                hint="reset the checkpoint again with the gtid_set that belongs to file and pos",
            )
    return MysqlPosition(position.file, position.pos, gtids, server.flavor, server.uuid)


def _mariadb_gtids(connection: Connection[Any], file: str, pos: int) -> str:
    if pos > MAX_DUMP_OFFSET:
        raise SourceError(
            f"MariaDB does not say which GTIDs lie before offset {pos} of binary log {file}, behind 4 GiB",
            kind="incompatible",
            hint="run FLUSH BINARY LOGS, so that a new file begins; in a checkpoint give the gtid_set, too",
        )
    ((gtids,),) = execute(connection, "select binlog_gtid_pos(%s, %s)", (file, str(pos)))
    return str(gtids or "")


def check_position(connection: Connection[Any], server: ServerSettings, position: MysqlPosition) -> None:
    """Check that everything behind a saved position is still in this server's log.

    Raises:
        PositionLostError: Purged, wiped, or on a server that never had it.
    """
    is_same = position.server_uuid in ("", server.uuid)
    if position.flavor != server.flavor:
        raise lost(f"the position is of {position.flavor}, the server is {server.flavor}", is_failover=not is_same)
    if position.gtid_set and server.flavor == "mysql":
        _check_gtids(connection, position, is_same=is_same)
    elif position.gtid_set:
        _check_domains(connection, position, is_same=is_same)
    elif not is_same:
        raise lost("file and offset mean nothing on another server, and there are no GTIDs", is_failover=True)
    if is_same and position.file:
        _check_file(connection, position)


def at_new_server(position: MysqlPosition, server: ServerSettings) -> MysqlPosition:
    """A position that was checked, without the file of the server that it is of; that of this one is heard first."""
    if position.server_uuid in ("", server.uuid):
        return position
    return MysqlPosition("", 4, position.gtid_set, position.flavor, server.uuid)


def _check_gtids(connection: Connection[Any], position: MysqlPosition, *, is_same: bool) -> None:
    ((executed, purged),) = execute(connection, "select @@global.gtid_executed, @@global.gtid_purged")
    saved, has, gone = GtidSet(position.gtid_set), _gtids(executed), _gtids(purged)
    if not saved.issubset(has):
        why = _WHY_SAME if is_same else _WHY_OTHER
        raise lost(f"the saved GTID set is not part of what the server executed: {why}", is_failover=not is_same)
    if not gone.issubset(saved):
        raise lost("transactions that were not read yet are purged from the binary log", is_failover=not is_same)


def _check_domains(connection: Connection[Any], position: MysqlPosition, *, is_same: bool) -> None:
    """The last transaction of each domain must have been in this server's binary log; purged ones count."""
    ((state,),) = execute(connection, "select @@global.gtid_binlog_state")
    newest: dict[tuple[int, int], int] = {}
    for gtid in filter(None, str(state or "").split(",")):
        domain, server, sequence = split_mariadb_gtid(gtid.strip())
        newest[domain, server] = sequence
    for domain, (server, sequence) in MariadbGtids(position.gtid_set).domains().items():
        if newest.get((domain, server), 0) < sequence:
            why = _WHY_SAME if is_same else _WHY_OTHER
            raise lost(
                f"GTID {domain}-{server}-{sequence} was never in the server's binary log: {why}",
                is_failover=not is_same,
            )


def _check_file(connection: Connection[Any], position: MysqlPosition) -> None:
    """Numbers of files only grow, so smaller ones are another history, even if its GTIDs look like ours."""
    sizes = {str(row[0]): int(row[1]) for row in _binary_logs(connection)}
    base = position.file.rpartition(".")[0]
    newest = max((MysqlPosition(file, 0).order for file in sizes if file.rpartition(".")[0] == base), default=None)
    if newest is not None and newest < MysqlPosition(position.file, 0).order:
        raise lost(f"the binary logs end before {position.file}: {_WHY_SAME}", is_failover=False)
    if position.file in sizes and position.pos > sizes[position.file]:
        raise lost(f"binary log {position.file} ends before the saved offset: {_WHY_SAME}", is_failover=False)
    if position.file not in sizes and not position.gtid_set:
        raise lost(f"binary log {position.file} is purged", is_failover=False)


_WHY_SAME = "its history was reset, or a crash took the last transactions"
_WHY_OTHER = "it does not have all transactions that were read before"


def _binary_logs(connection: Connection[Any]) -> list[tuple[Any, ...]]:
    with replication_rights(connection):
        return execute(connection, "show binary logs")


def _gtids(text: object) -> GtidSet:
    return GtidSet(str(text or "").replace("\n", ""))


def _status(connection: Connection[Any], statements: tuple[str, str]) -> dict[str, Any]:
    refused: SourceError | None = None
    for sql in statements:
        try:
            with replication_rights(connection):
                row = query_row(connection, sql)
        except SourceError as error:
            if refused is None or error.kind == "permission":  # the other spelling is a syntax error
                refused = error
            continue
        if row is not None:
            return row
    raise refused or SourceError("the server has no binary log", kind="incompatible", hint="set log_bin")
