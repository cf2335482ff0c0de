"""What the stream does not say: types by oid, primary keys, slots, settings."""

from __future__ import annotations

import msgspec
import psycopg
from psycopg.rows import TupleRow

from deltaforge.core.errors import SourceError
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.protocol.postgres.messages import Relation, TypeName
from deltaforge.protocol.postgres.values import FIRST_USER_OID, TypeInfo
from deltaforge.sources.postgres.client import SERVER_START, source_errors

_TYPES = """
with recursive reached(oid) as (
    select unnest(%s::oid[])
  union
    select unnest(array[t.typbasetype, e.oid])
      from reached r join pg_type t on t.oid = r.oid left join pg_type e on e.typarray = t.oid
)
select t.oid, t.typname, t.typtype::text, coalesce(e.oid, 0), t.typbasetype, coalesce(e.typdelim::text, ','),
       coalesce(x.extname, '')
  from reached r join pg_type t on t.oid = r.oid left join pg_type e on e.typarray = t.oid
  left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
  left join pg_extension x on x.oid = d.refobjid
"""

_BUILT_IN = "select oid from pg_type where typname = %s and typnamespace = 'pg_catalog'::regnamespace"

_UNDERLYING = r"""
case when <oid> >= 16384 then (
    with recursive behind(oid, mod, suffix, depth) as (
        select <oid>, <mod>, '', 0
      union all
        select coalesce(e.oid, d.typbasetype), case when e.oid is null then d.typtypmod else b.mod end,
               case when e.oid is null then '' else '[]' end || b.suffix, b.depth + 1
          from behind b join pg_type d on d.oid = b.oid left join pg_type e on e.typarray = d.oid
         where d.typtype = 'd' or e.oid is not null
    )
    select nullif(case when k.typtype = 'e' then
                           (select 'enum(' || string_agg(
                                       '''' || replace(replace(l.enumlabel, '\', '\\'), '''', '''''') || '''', ','
                                       order by l.enumsortorder) || ')'
                              from pg_enum l where l.enumtypid = k.oid)
                       when k.typtype = 'c' then 'composite'
                       when k.oid >= 16384 and k.typtype = 'r' then 'range'
                       when k.oid >= 16384 and k.typtype = 'm' then 'multirange'
                       when k.oid >= 16384 and not exists (
                                select from pg_depend x
                                 where x.classid = 'pg_type'::regclass and x.objid = k.oid and x.deptype = 'e')
                           then 'unknown'
                       else format_type(b.oid, b.mod) end || b.suffix,
                  format_type(<oid>, <mod>))
      from behind b join pg_type k on k.oid = b.oid
     order by b.depth desc limit 1) end
"""

_KEY = """
select a.attname
  from pg_index i
  cross join unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
 where i.indrelid = %s and i.indisprimary and k.place <= i.indnkeyatts
 order by k.place
"""

# Key columns of the identity index that no row message has: not in the column list, or generated before PostgreSQL 18.
_HIDDEN_KEY = """
select exists (
    select from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_index i on i.indrelid = c.oid and i.indisvalid
       and case c.relreplident when 'd' then i.indisprimary and i.indimmediate
                               when 'i' then i.indisreplident else false end
     cross join unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      join pg_publication_tables t on t.pubname = %s and t.schemaname = n.nspname and t.tablename = c.relname
     where c.oid = %s and k.place <= i.indnkeyatts
       and (not coalesce(to_jsonb(t) -> 'attnames' ? a.attname, true)
            or a.attgenerated <> '' and current_setting('server_version_num')::int < 180000))
"""

_COLUMNS = """
select a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
"""

_END = """
select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text
"""

_RETAINED = """
select pg_wal_lsn_diff(
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end, restart_lsn)
  from pg_replication_slots
 where slot_name = %s
"""


# Amazon RDS lets the members of a role replicate, and has no superuser to give the attribute.
_ROLE = """
select quote_ident(r.rolname),
       r.rolreplication or r.rolsuper or coalesce(pg_has_role(r.oid, amazon.oid, 'usage'), false),
       amazon.oid is not null
  from pg_roles r left join pg_roles amazon on amazon.rolname = 'rds_replication'
 where r.rolname = session_user
"""


_OF_TYPES = "select ", " from unnest(%s::oid[], %s::int4[]) with ordinality as c(oid, mod, n) order by n"


def underlying_type(oid: str, modifier: str) -> str:
    """:attr:`Column.underlying` as an expression over those of the oid and modifier of a type."""
    return _UNDERLYING.replace("<oid>", oid).replace("<mod>", modifier)


class ColumnDefinition(msgspec.Struct, frozen=True):
    """What the catalog says of a column and a relation message does not."""

    nullable: bool = True
    default: str | None = None
    extra: str = ""

    @classmethod
    def of(cls, is_not_null: bool, expression: str | None, identity: str, generated: str) -> ColumnDefinition:  # noqa: FBT001 - columns of a query
        """From the columns of ``pg_attribute`` and ``pg_attrdef``."""
        if identity:
            return cls(not is_not_null, None, f"generated {'always' if identity == 'a' else 'by default'} as identity")
        if generated:
            kind = "stored" if generated == "s" else "virtual"
            return cls(not is_not_null, None, f"generated always as ({expression}) {kind}")
        return cls(not is_not_null, expression)


class SlotState(msgspec.Struct, frozen=True):
    """A replication slot as the server sees it.

    Attributes:
        confirmed: Its confirmed flush LSN.
        lost_reason: Why the server has invalidated it; empty if it has not.
        is_endangered: The WAL that it needs is over ``max_slot_wal_keep_size`` already.
        is_synced_copy: A standby keeps it in step with the primary's.
        is_two_phase: It sends transactions when they are prepared.
    """

    plugin: str
    database: str
    confirmed: int
    lost_reason: str = ""
    is_endangered: bool = False
    is_synced_copy: bool = False
    is_two_phase: bool = False


class Catalog:
    """Reads one database's catalog over an ordinary connection, which it does not own."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection
        self._publication = ""
        self._types: dict[int, TypeInfo] = {}
        self._names: dict[int, TypeName] = {}
        self._gone: dict[int, TypeInfo] = {}

    def check_server(self, publication: str) -> None:
        """Check ``wal_level`` and that the publication exists.

        Raises:
            SourceError: With the remedy. A missing publication is retryable: it is waited for.
        """
        self._publication = publication
        self.check_wal_level()
        self.check_publication(publication)

    def check_wal_level(self) -> None:
        """Check that the log holds what logical decoding needs.

        Raises:
            SourceError: With the remedy.
        """
        (wal_level,) = self._one("show wal_level")
        if wal_level != "logical":
            raise SourceError(
                f"wal_level is {wal_level}, expected logical",
                kind="incompatible",
                hint="set wal_level = logical and restart the server",
            )

    def check_publication(self, publication: str) -> None:
        """Check that the publication exists.

        Raises:
            SourceError: With the remedy; retryable.
        """
        if self._find("select 1 from pg_publication where pubname = %s", publication) is None:
            raise SourceError(
                f"publication {publication} does not exist yet",
                kind="connect",
                hint=f"create it: CREATE PUBLICATION {publication} FOR TABLE …",
            )

    def check_replicates(self) -> None:
        """Check that the role may open a replication connection; to be asked when it could not.

        Raises:
            SourceError: It may not; with the statement that mends it.
        """
        row = self._one(_ROLE)
        role, may_replicate, is_amazon = row
        if not may_replicate:
            mend = "grant rds_replication to {}" if is_amazon else "alter role {} replication"
            raise SourceError(
                f"role {role} may not read the log",
                kind="permission",
                hint=f"as a superuser: {mend.format(role)}",
            )

    def check_same_server(self, server_start: str) -> None:
        """Check that a second connection has led to the same server: hosts, a name or a balancer may lead to several.

        Args:
            server_start: What the other connection answered to :data:`SERVER_START`.

        Raises:
            SourceError: It has not; retryable.
        """
        if self._one(SERVER_START)[0] != server_start:
            raise SourceError(
                "two connections of the same DSN have led to different servers",
                kind="connect",
                hint="let the DSN lead to one server, for example with target_session_attrs=read-write",
            )

    def sender_timeout_secs(self) -> float:
        """How long a walsender waits for a word before it disconnects (``wal_sender_timeout``); 0: for ever."""
        return int(self._one("select setting from pg_settings where name = 'wal_sender_timeout'")[0]) / 1000

    def now(self) -> float:
        """The server's clock, in seconds since 1970."""
        return float(self._one("select extract(epoch from clock_timestamp())::float8")[0])

    def database(self) -> str:
        """Name of the database."""
        return str(self._one("select current_database()")[0])

    def current_lsn(self) -> int:
        """Where the WAL ends now; of a standby: what it has replayed."""
        return lsn_from_text(str(self._one(_END)[0]))

    def slot(self, name: str) -> SlotState | None:
        """The slot, or None if there is none of that name."""
        row = self._find(
            "select plugin, database, confirmed_flush_lsn::text, to_jsonb(s), pg_is_in_recovery()"
            " from pg_replication_slots s where slot_name = %s",
            name,
        )
        if row is None:
            return None
        plugin, database, confirmed, details, is_standby = row
        status = details.get("wal_status")
        return SlotState(
            plugin or "",
            database or "",
            lsn_from_text(confirmed) if confirmed else 0,
            details.get("invalidation_reason") or ("wal removed" if status == "lost" else ""),
            is_endangered=status == "unreserved",
            is_synced_copy=is_standby and bool(details.get("synced")),
            is_two_phase=bool(details.get("two_phase")),
        )

    def is_standby(self) -> bool:
        """Whether the server replays the WAL of another one."""
        return bool(self._one("select pg_is_in_recovery()")[0])

    def retained_bytes(self, slot: str) -> int | None:
        """WAL bytes that the slot holds back; on a standby, of what it has replayed."""
        row = self._find(_RETAINED, slot)
        return None if row is None or row[0] is None else int(row[0])

    def types(self, oids: list[int]) -> dict[int, TypeInfo]:
        """Everything reachable from these types: domain bases and array elements. A type that was dropped is what the
        stream said of it, see :meth:`note_type`.
        """
        if any(oid not in self._types for oid in oids):
            self._read_types(oids)
            gone = {oid: self._dropped(oid) for oid in oids if oid not in self._types}
            if gone:
                self._read_types([info.base for info in gone.values() if info.base])
                self._gone |= gone
                self._types |= gone
        return self._types

    def note_type(self, name: TypeName) -> None:
        """Remember what the stream says of a type, for when the catalog does not know it any more."""
        self._names[name.oid] = name

    def _read_types(self, oids: list[int]) -> None:
        with source_errors("cannot read the type catalog"):
            rows = self._connection.execute(_TYPES, [oids]).fetchall()
        self._types |= {row[0]: TypeInfo(*row) for row in rows}

    def _dropped(self, oid: int) -> TypeInfo:
        """A dropped type: text, but a domain over a built-in type, which is named instead of it, is that type."""
        said = self._names.get(oid)
        if said is None:
            return TypeInfo(oid, "", "p")
        built_in = self._find(_BUILT_IN, said.name) if said.schema == "pg_catalog" else None
        return TypeInfo(oid, said.name, "p") if built_in is None else TypeInfo(oid, said.name, "d", 0, built_in[0])

    def type_names(self, relation: Relation) -> list[str]:
        """Declared type texts of a relation's columns, e.g. ``character varying(40)``."""
        said = [column.type_oid for column in relation.columns]
        modifiers = [column.type_modifier for column in relation.columns]
        self.types(said)
        oids = [self._gone[oid].base or oid if oid in self._gone else oid for oid in said]
        query = (
            "select format_type(c.oid, c.mod) from unnest(%s::oid[], %s::int4[]) with ordinality as c(oid, mod, n)"
            " order by n"
        )
        with source_errors("cannot read the type catalog"):
            names = [str(row[0]) for row in self._connection.execute(query, [oids, modifiers]).fetchall()]
        return [self._name_of(oid) if name == "???" else name for oid, name in zip(oids, names, strict=True)]

    def underlying_types(self, relation: Relation) -> list[str | None]:
        """What types of a relation's columns are made of that somebody made, see :attr:`Column.underlying`."""
        oids = [column.type_oid for column in relation.columns]
        if max(oids, default=0) < FIRST_USER_OID:
            return [None] * len(oids)
        modifiers = [column.type_modifier for column in relation.columns]
        query = underlying_type("c.oid", "c.mod").join(_OF_TYPES)
        with source_errors("cannot read the type catalog"):
            return [row[0] for row in self._connection.execute(query.encode(), [oids, modifiers]).fetchall()]

    def _name_of(self, oid: int) -> str:
        """What the stream called a type that was dropped, the way ``format_type`` writes it."""
        said = self._names.get(oid)
        if said is None:
            return "???"
        return said.name if said.schema in ("pg_catalog", "public") else f"{said.schema}.{said.name}"

    def primary_key(self, relation: Relation) -> tuple[str, ...]:
        """Primary key columns in key order, as of now; empty when the table has none or is gone."""
        with source_errors("cannot read the primary key"):
            rows = self._connection.execute(_KEY, [relation.oid]).fetchall()
        return tuple(str(row[0]) for row in rows)

    def hides_key(self, relation: Relation) -> bool:
        """Whether the replica identity has columns that are not published, as of now."""
        with source_errors("cannot read the replica identity"):
            row = self._connection.execute(_HIDDEN_KEY, [self._publication, relation.oid]).fetchone()
        return row is not None and bool(row[0])

    def column_definitions(self, relation: Relation) -> dict[str, ColumnDefinition]:
        """What a relation message does not say of its columns, by name, as of now."""
        with source_errors("cannot read the columns"):
            rows = self._connection.execute(_COLUMNS, [relation.oid]).fetchall()
        return {row[0]: ColumnDefinition.of(*row[1:]) for row in rows}

    def _one(self, query: str) -> TupleRow:
        row = self._find(query)
        if row is None:
            raise SourceError(f"the server answered nothing to: {query}", kind="incompatible")
        return row

    def _find(self, query: str, *args: object) -> TupleRow | None:
        with source_errors("cannot read the catalog"):
            return self._connection.execute(query.encode(), args or None).fetchone()
