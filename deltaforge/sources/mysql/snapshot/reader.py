"""Reads chunks of the captured tables; see :class:`deltaforge.sources.snapshot.base.ChunkReader`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import msgspec

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.snapshot import Cursor, Stripe
from deltaforge.kernel import backend
from deltaforge.protocol.mysql.result_rows import copied_columns
from deltaforge.protocol.mysql.result_values import ResultValue
from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.catalog import load_table
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.event_mapper import CapturedTable
from deltaforge.sources.mysql.group import EventPlace, copied_rows
from deltaforge.sources.mysql.rows_connection import RowsConnection
from deltaforge.sources.mysql.server import ServerSettings, read_settings
from deltaforge.sources.mysql.snapshot.columns import copied_types
from deltaforge.sources.mysql.snapshot.keys import Key, Value, find_key
from deltaforge.sources.mysql.snapshot.log import digest_of
from deltaforge.sources.mysql.snapshot.marks import MysqlMark, Sight, Sights, Since, sights_of
from deltaforge.sources.mysql.snapshot.names import quoted, quoted_table
from deltaforge.sources.mysql.snapshot.points import evenly, points_between
from deltaforge.sources.mysql.snapshot.preflight import warnings_of
from deltaforge.sources.mysql.snapshot.ranges import at, behind, cursor_of, statement, up_to, values_of
from deltaforge.sources.mysql.snapshot.reread import condition_of_keys
from deltaforge.sources.mysql.tables import captured_tables
from deltaforge.sources.snapshot.base import Chunk, ChunkRequest, Kept, Mark, TablePlan
from deltaforge.sources.snapshot.plans import SavedPlans

CUT_BYTES = 64 << 20
"""A chunk ends at the first row behind so many bytes."""
MAX_KEYLESS_BYTES = 256 << 20
"""Of a table that has no key to be read by: it is one chunk."""
_GONE = frozenset({1049, 1054, 1146, 1176})
"""Of the server: no such database, column, table or index."""
_EVERYTHING = 1 << 31
_TABLES = """
select table_schema, table_name from information_schema.tables
 where table_type in ('BASE TABLE', 'SYSTEM VERSIONED') order by table_schema, table_name
"""
_KEPT = "show global variables where variable_name in ('binlog_expire_logs_seconds', 'expire_logs_days')"
_SIZE = "select table_rows, data_length from information_schema.tables where table_schema = %s and table_name = %s"


class MysqlPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is saved of how a table is read. ``key``: None: all of it at once."""

    digest: str
    key: Key | None = None


_plan_decoder = msgspec.json.Decoder(MysqlPlan)


class MysqlChunkReader:
    """One connection. Opened by its first use, and again after an error."""

    def __init__(self, config: MysqlSourceConfig) -> None:
        self._dsn = config.dsn.get_secret_value()
        self._patterns = captured_tables(config)
        self._rows: RowsConnection | None = None
        self._server: ServerSettings | None = None
        self._sights: Sights | None = None
        self._plans = SavedPlans(_plan_decoder)
        self._edges: dict[tuple[TableName, bool], int | None] = {}

    def tables(self) -> list[TableName]:
        with self._errors():
            rows = self._connected()
            self._patterns.ignores_case = self._settings().folds_names
            found = [(str(db), str(table)) for db, table in rows.query(_TABLES)]
            return [table for table in found if self._patterns.matches(*table)]

    def plan(self, table: TableName, *, where: str | None, stripe_count: int) -> TablePlan:
        with self._errors():
            rows = self._connected()
            with closing(connect(self._dsn)) as connection:
                definition = load_table(connection, table).definition()
            if definition is None:
                raise TableChangedError(f"there is no table {'.'.join(table)}")
            columns = copied_columns(copied_types(definition, is_mariadb=self._settings().flavor == "mariadb"))
            key = find_key(rows.query, table, columns)
            for condition in (f"({where}\n)", where) if where is not None else ():  # alone, too: it may not close ours
                rows.query(f"explain select 1 from {quoted_table(table)} where {condition}")  # noqa: S608 - what an operator may say
            ((row_count, byte_count),) = rows.query(_SIZE, table) or [(None, None)]
            plan = MysqlPlan(digest_of(definition), key)
            bounds = self._bounds(table, key, Stripe(), stripe_count) if key is not None and stripe_count > 1 else []
            return TablePlan(
                table,
                "whole" if key is None else "keyset",
                msgspec.json.encode(plan).decode(),
                tuple(Stripe(low, high) for low, high in itertools.pairwise([None, *bounds, None])),
                None if row_count is None else int(row_count),
                None if byte_count is None else int(byte_count),
                tuple(warnings_of(rows.query, table, self._settings(), has_key=key is not None)),
            )

    def read(self, request: ChunkRequest) -> Chunk:
        with self._errors():
            plan, table = self._plans.of(request.plan), request.captured
            if plan.digest != table.digest:
                raise TableChangedError(f"the definition of table {'.'.join(request.plan.table)} has changed")
            rows, sights = self._connected(), self._sight()
            sight = sights.before(rows.query)
            images, row_count, last = self._images(rows, request, plan)
            high = sights.after(self._connected().query, sight)  # another connection, if the read was cut
            to = self._reached(request, plan, last)
            chunk = self._chunk(request, sight, high, images, row_count, to)
            return replace(chunk, fraction=self._fraction(request, plan.key, to))

    def unsettled(self, mark: Mark, since: object) -> str | None:
        if not isinstance(mark, MysqlMark) or not isinstance(since, Since):
            raise SourceError("a mark of another source", kind="other")
        if mark.server != since.place.server_uuid:
            raise SourceError(
                "the log and a chunk of a snapshot have been read from different servers",
                kind="connect",
                hint="let the DSN lead to one server",
            )
        return mark.lacks(since.place, since.prepared)

    def split(self, plan: TablePlan, stripe: Stripe) -> Cursor | None:
        key = self._plans.of(plan).key
        if key is None:
            return None
        with self._errors():
            return next(iter(self._bounds(plan.table, key, stripe, 2)), None)

    def kept(self) -> Kept:
        with self._errors():
            rows = self._connected().query(_KEPT)
        found = {str(name).lower(): float(value) for name, value in rows}
        secs = found.get("binlog_expire_logs_seconds", 0.0) or found.get("expire_logs_days", 0.0) * 86400
        return Kept(secs or None)

    def close(self) -> None:
        rows, self._rows, self._sights = self._rows, None, None
        if rows is not None:
            rows.close()

    def _connected(self) -> RowsConnection:
        if self._rows is None:
            with closing(connect(self._dsn)) as connection:
                self._server = read_settings(connection)
            self._rows = RowsConnection(self._dsn)
        return self._rows

    def _settings(self) -> ServerSettings:
        if self._server is None:
            raise SourceError("the source is not connected", kind="connect")
        return self._server

    def _sight(self) -> Sights:
        if self._sights is None:
            self._sights = sights_of(self._settings(), self._connected().query)
        return self._sights

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """The connection is not used again after an error; what a table lacks is a change of it."""
        try:
            yield
        except SourceError as error:
            self.close()
            if error.context.get("code") in _GONE:
                raise TableChangedError(error.message) from error
            raise

    def _images(
        self, rows: RowsConnection, request: ChunkRequest, plan: MysqlPlan
    ) -> tuple[bytes, int, tuple[ResultValue, ...] | None]:
        """Row images, how many they are, and the values of the last row if the read ended there and not at its end."""
        table: CapturedTable = request.captured
        is_whole = plan.key is None or request.high is not None or bool(request.reread)
        limit = None if is_whole or request.max_rows >= _EVERYTHING else request.max_rows
        prepared = rows.prepare(_statement(request, plan.key, table.selected, limit))
        result = rows.execute(prepared, (), table.columns)
        bound = min(request.max_bytes, CUT_BYTES) if limit is not None else MAX_KEYLESS_BYTES
        part = result.read(bound)
        if not result.is_end:
            self._rows = None
            rows.close()  # in the middle of a result
            if limit is None:
                raise _too_large(request, plan)
            return part.images, part.row_count, part.last_row
        rows.forget(prepared)
        return part.images, part.row_count, part.last_row if limit is not None and part.row_count >= limit else None

    def _reached(self, request: ChunkRequest, plan: MysqlPlan, last: tuple[ResultValue, ...] | None) -> Cursor | None:
        if request.high is not None:
            return request.high
        if last is None or plan.key is None or request.reread:
            return None
        places = {name: place for place, (name, _) in enumerate(request.captured.columns)}
        return cursor_of([column.value_of(last[places[column.name]]) for column in plan.key.columns])

    def _fraction(self, request: ChunkRequest, key: Key | None, to: Cursor | None) -> float | None:
        """How much of its stripe lies before a cursor, as far as keys are spread evenly. The edges of the table are
        looked up once.
        """
        if to is None:
            return 1.0
        if key is None or request.high is not None or not key.columns[0].is_integer or key.columns[0].falls:
            return None
        reached = int(values_of(to)[0])
        begins = (int(values_of(stripe.at)[0]) for stripe in request.plan.stripes if stripe.at is not None)
        first = max((begin for begin in begins if begin < reached), default=None)
        first = self._known_edge(request, key, None, is_last=False) if first is None else first
        last = self._known_edge(request, key, request.end, is_last=True)
        if first is None or last is None or last <= first:
            return None
        return min(0.99, max(0.0, (reached - first) / (last - first)))

    def _known_edge(self, request: ChunkRequest, key: Key, cursor: Cursor | None, *, is_last: bool) -> int | None:
        place = (request.plan.table, is_last)
        if cursor is None and place in self._edges:
            return self._edges[place]
        found = self._edge(request.plan.table, key, cursor, is_last=is_last)
        edge = None if found is None else int(found)
        return edge if cursor is not None else self._edges.setdefault(place, edge)

    def _chunk(  # noqa: PLR0913 - what was read
        self, request: ChunkRequest, sight: Sight, high: MysqlPosition, images: bytes, row_count: int, to: Cursor | None
    ) -> Chunk:
        uuid = self._settings().uuid
        if sight.mark.server != uuid:
            raise SourceError("the DSN leads to another server than before", kind="connect")
        transaction = backend.Transaction("mysql", uuid, request.transaction, "", sight.ts_ms * 1000)
        place = EventPlace(sight.ts_ms, sight.server_id, high.file, high.pos, high.pos)
        rows = copied_rows(request.captured, images, transaction, place)
        return Chunk(request, rows, to, sight.mark, high, row_count, len(images))

    def _bounds(self, table: TableName, key: Key, stripe: Stripe, count: int) -> list[Cursor]:
        """Keys that divide what is left of a stripe into about so many parts, in the order of the index."""
        first = key.columns[0]
        low, high = self._edge(table, key, stripe.at, is_last=False), self._edge(table, key, stripe.end, is_last=True)
        if low is None or high is None:
            return []
        ends = [behind(key, stripe.at)] if stripe.at is not None else []
        ends += [up_to(key, stripe.end)] if stripe.end is not None else []
        found: dict[Cursor, None] = {}
        for point in points_between(first, low, high, count):
            nearest = f"{quoted(first.name)} {'<=' if first.falls else '>='} {first.literal(point)}"
            found |= dict.fromkeys(self._cursors(table, key, [nearest, *ends], 1))
        found.pop(stripe.end or "", None)
        if found and (first.falls or not first.is_integer):  # points need not be in the order of the index
            these = " or ".join(f"({at(key, each)})" for each in found)
            found = dict.fromkeys(self._cursors(table, key, [these], None))
        return evenly(list(found), count)

    def _cursors(self, table: TableName, key: Key, conditions: Sequence[str], limit: int | None) -> list[Cursor]:
        """The keys of rows, in the order of the index."""
        rows = self._connected().query(statement(table, key, key.printed, conditions, limit))
        columns = key.columns
        return [cursor_of([column.value_of(v) for column, v in zip(columns, row, strict=True)]) for row in rows]

    def _edge(self, table: TableName, key: Key, cursor: Cursor | None, *, is_last: bool) -> Value | None:
        """The first column of a key at a cursor, or at the beginning or end of the table."""
        if cursor is not None:
            return values_of(cursor)[0]
        first = key.columns[0]
        order = "desc" if is_last is not first.falls else "asc"
        sql = f"select {first.printed} from {quoted_table(table)} order by {quoted(first.name)} {order} limit 1"  # noqa: S608 - quoted
        rows: list[tuple[Any, ...]] = self._connected().query(sql)
        return first.value_of(rows[0][0]) if rows else None


def _too_large(request: ChunkRequest, plan: MysqlPlan) -> SourceError:
    title, size = ".".join(request.plan.table), f"more than {MAX_KEYLESS_BYTES >> 20} MiB"
    if plan.key is not None:
        return SourceError(
            f"rows of table {title} that have to be read at once have {size}",
            kind="incompatible",
            hint="set binlog_row_image=FULL, so that fewer rows have to be read again, and copy the table anew",
        )
    return SourceError(
        f"table {title} has no key that it can be read by, and {size}",
        kind="incompatible",
        hint="add a primary key or a unique index of NOT NULL columns, or leave it out of the snapshot",
    )


def _statement(request: ChunkRequest, key: Key | None, selected: str, limit: int | None) -> str:
    """The SELECT of a chunk."""
    table, conditions = request.plan.table, list[str]()
    if request.reread:
        conditions.append(condition_of_keys(request.captured.schema.primary_key, request.reread))
    elif key is not None:
        end = request.end if request.high is None else request.high
        conditions += [behind(key, request.low)] if request.low is not None else []
        conditions += [up_to(key, end)] if end is not None else []
    if request.where:
        conditions.append(request.where)
    if key is not None and not request.reread:
        return statement(table, key, selected, conditions, limit)
    return f"select {selected} from {quoted_table(table)}" + _where(conditions)  # noqa: S608 - quoted


def _where(conditions: Sequence[str]) -> str:
    return " where " + " and ".join(f"({condition}\n)" for condition in conditions) if conditions else ""
