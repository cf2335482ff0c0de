"""What a chunk has seen.

A commit stands in the binary log before others can see it. So a mark is made of what the server says of visibility:

* MySQL with GTIDs: a transaction enters ``gtid_executed`` when it is committed in the engine. The set before a read is
  a sure lower bound of what the read sees.
* MySQL without: the log's end, once every commit that was under way then has left. A commit holds a metadata lock from
  before it is written to the log until it is visible.
* MariaDB: a consistent snapshot knows its place in the log exactly.

An XA transaction that is prepared stands in the log, and in the set, and nobody sees it before its XA COMMIT. So a
chunk that was read while there was one has surely seen none of those that the log has delivered meanwhile, and what
was prepared before notes were taken is waited for. XA ROLLBACK takes back what was delivered: the rows of such
transactions are read again in any case.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from deltaforge.core.errors import SourceError
from deltaforge.core.event import SourceInfo
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.positions.gtid import GtidSet
from deltaforge.sources.mysql.server import ServerSettings
from deltaforge.sources.mysql.snapshot.names import Ask

COMMIT_WAIT_SECS = 30.0
"""How long the commits that are under way may take before the reading is tried again."""
_POLL_SECS = 0.01
_NOW = "@@server_id, cast(unix_timestamp(now(3)) * 1000 as unsigned)"
_MARIADB_UUID = "concat(@@server_id, '@', @@hostname)"
_COMMITS = """
select owner_thread_id, owner_event_id from performance_schema.metadata_locks
 where object_type = 'COMMIT' and lock_status = 'GRANTED' and owner_thread_id <> ps_current_thread_id()
"""


@dataclass(frozen=True)
class MysqlMark:
    """Seen are the transactions of ``gtids``, or without GTIDs those that end at ``place`` or before.

    Attributes:
        server: The uuid of the server that was read.
        prepared: XA transactions that were prepared at the time: what is in them was not seen.
    """

    server: str
    place: MysqlPosition
    gtids: GtidSet | None = None
    prepared: frozenset[str] = frozenset()

    @property
    def doubts_provisional(self) -> bool:
        return bool(self.prepared)

    def sees(self, source: SourceInfo) -> bool:
        if self.gtids is not None:
            return bool(source.gtid) and self.gtids.contains(str(source.gtid))
        return MysqlPosition(str(source.file), int(source.pos or 0)).order <= self.place.order

    def lacks(self, since: MysqlPosition, prepared: frozenset[str]) -> str | None:
        """What the mark has not seen of what lies before a position, in words; None if it is nothing. ``prepared``:
        the XA transactions that were prepared there.
        """
        if waiting := sorted(self.prepared & prepared):
            return f"XA transactions that are prepared: {', '.join(waiting[:3])}"
        if self.gtids is None:
            is_seen = since.order <= self.place.order
            return None if is_seen else f"commits up to {since.file}:{since.pos} are not visible yet"
        wanted = GtidSet(since.gtid_set)
        if wanted.issubset(self.gtids):
            return None
        sources = sorted({part[0] for part in wanted.intervals() if not self.gtids.covers(*part)})
        return f"transactions of {', '.join(sources)} are not visible yet"


@dataclass(frozen=True)
class Since:
    """What had been delivered when notes began to be taken: the log up to ``place``, and with it the rows of XA
    transactions that were ``prepared`` then.
    """

    place: MysqlPosition
    prepared: frozenset[str]


@dataclass(frozen=True)
class Sight:
    """The server at the time of a read: ``ts_ms`` is its clock."""

    mark: MysqlMark
    server_id: int
    ts_ms: int


class Sights(Protocol):
    """Makes marks: the one half before the rows are read, the other after."""

    def before(self, ask: Ask) -> Sight:
        """What the read that follows surely sees.

        Raises:
            SourceError: It cannot be known.
        """

    def after(self, ask: Ask, sight: Sight) -> MysqlPosition:
        """The log has passed all that was seen, once it is read up to here."""


def sights_of(server: ServerSettings, ask: Ask) -> Sights:
    """How marks are made at a server.

    Raises:
        SourceError: It cannot be done; the hint names the remedy.
    """
    if server.flavor == "mariadb":
        return MariadbSights()
    status = _status_statement(ask)
    return GtidSights(status) if server.has_gtids else PlaceSights(status, ask)


class GtidSights:
    """MySQL with GTIDs."""

    def __init__(self, status: str) -> None:
        self._status = status

    def before(self, ask: Ask) -> Sight:
        ((gtids, uuid, server_id, ts_ms),) = ask(f"select @@global.gtid_executed, @@server_uuid, {_NOW}")
        executed = GtidSet(str(gtids or "").replace("\n", ""))
        mark = MysqlMark(str(uuid), MysqlPosition("", 4), executed, prepared_xa(ask))
        return Sight(mark, int(server_id), int(ts_ms))

    def after(self, ask: Ask, sight: Sight) -> MysqlPosition:
        return _end(ask, self._status, sight.mark.server)


class PlaceSights:
    """MySQL without GTIDs.

    Raises:
        SourceError: Commits that are under way cannot be seen.
    """

    def __init__(self, status: str, ask: Ask) -> None:
        self._status = status
        keeps = "wait/lock/metadata/sql/mdl"
        hint = (
            f"turn GTIDs on, or have performance_schema on with the instrument {keeps}, and grant SELECT on"
            " performance_schema.* to the user"
        )
        try:
            found = ask(
                f"select enabled from performance_schema.setup_instruments where name = '{keeps}' union all select"  # noqa: S608 - our own text
                " enabled from performance_schema.setup_consumers where name = 'global_instrumentation'"
            )
            ask(_COMMITS)
        except SourceError as error:
            error.hint = hint
            raise
        if [str(row[0]) for row in found] != ["YES", "YES"]:
            raise SourceError(
                "without GTIDs, metadata locks say which commits are under way, and the server does not keep them",
                kind="incompatible",
                hint=hint,
            )

    def before(self, ask: Ask) -> Sight:
        ((uuid, server_id, ts_ms),) = ask(f"select @@server_uuid, {_NOW}")
        place = _end(ask, self._status, str(uuid))
        self._wait_for_commits(ask)
        return Sight(MysqlMark(str(uuid), place, None, prepared_xa(ask)), int(server_id), int(ts_ms))

    def after(self, ask: Ask, sight: Sight) -> MysqlPosition:
        return _end(ask, self._status, sight.mark.server)

    def _wait_for_commits(self, ask: Ask) -> None:
        under_way = set(ask(_COMMITS))
        deadline = time.monotonic() + COMMIT_WAIT_SECS
        while under_way:
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{len(under_way)} commits are under way for {COMMIT_WAIT_SECS:.0f} s",
                    kind="timeout",
                )
            time.sleep(_POLL_SECS)
            under_way &= set(ask(_COMMITS))


class MariadbSights:
    """MariaDB."""

    def before(self, ask: Ask) -> Sight:
        ask("start transaction with consistent snapshot, read only")
        found = {str(name).lower(): str(value) for name, value in ask("show status like 'binlog_snapshot_%'")}
        ((uuid, server_id, ts_ms),) = ask(f"select {_MARIADB_UUID}, {_NOW}")
        file, pos = found["binlog_snapshot_file"], int(found["binlog_snapshot_position"])
        place = MysqlPosition(file, pos, "", "mariadb", str(uuid))
        return Sight(MysqlMark(str(uuid), place, None, prepared_xa(ask)), int(server_id), int(ts_ms))

    def after(self, ask: Ask, sight: Sight) -> MysqlPosition:
        ask("commit")
        return sight.mark.place


def prepared_xa(ask: Ask) -> frozenset[str]:
    """The XA transactions that are prepared now.

    Raises:
        SourceError: There have been some since the server was started, and the user may not see which are left.
    """
    try:
        return frozenset(str(row[-1]) for row in ask("xa recover"))
    except SourceError as error:
        if error.kind != "permission":
            raise
        ((_, count),) = ask("show global status like 'Com_xa_prepare'")
        if int(count):
            raise SourceError(
                "the server has XA transactions, and the user may not see which are prepared",
                kind="permission",
                hint="grant XA_RECOVER_ADMIN on *.* to the user",
            ) from error
        return frozenset()


def _end(ask: Ask, status: str, uuid: str) -> MysqlPosition:
    row = ask(status)[0]
    return MysqlPosition(str(row[0]), int(row[1]), "", "mysql", uuid)


def _status_statement(ask: Ask) -> str:
    refused: SourceError | None = None
    for sql in ("show binary log status", "show master status"):
        try:
            if ask(sql):
                return sql
        except SourceError as error:
            if refused is None or error.kind == "permission":  # the other spelling is a syntax error
                refused = error
    raise refused or SourceError("the server has no binary log", kind="incompatible", hint="set log_bin")
