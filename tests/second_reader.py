"""An independent reader of the PostgreSQL log: the server's own ``test_decoding``, through SQL, parsed on its own terms.

What it prints and our events do not have, or the other way round, is in :func:`differences`.
"""

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import printed
from tests.reading import wire

UNCHANGED = object()

_ROW = re.compile(r"table (\S+): (INSERT|UPDATE|DELETE): (.*)", re.DOTALL)
_TRUNCATE = re.compile(r"table (.+): TRUNCATE: (.*)")
_MESSAGE = re.compile(r"message: transactional: ([01]) prefix: (.*?), sz: \d+ content:(.*)", re.DOTALL)
_COLUMN = re.compile(r'("(?:[^"]|"")+"|[^\s"\[]+)\[((?:[^\[\]]|\[\])+)\]:')
_SETTINGS = (
    "set datestyle = 'ISO, DMY'", "set timezone = 'UTC'", "set intervalstyle = 'postgres'", "set bytea_output = 'hex'",
    "set extra_float_digits = 1", "set client_encoding = 'UTF8'",
)  # fmt: skip

_READ = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid"), int),
    **dict.fromkeys(("real", "double precision"), printed.postgres_float),
    "boolean": printed.postgres_bool,
    "bytea": printed.postgres_bytea,
    **dict.fromkeys(("json", "jsonb"), json.loads),
    "timestamp without time zone": printed.postgres_timestamp,
    "timestamp with time zone": printed.postgres_timestamptz,
}


@dataclass
class Change:
    """A row, a truncated table or a message: ``new`` and ``old`` are values with their types, by column."""

    op: str
    table: str
    xid: str
    new: dict = field(default_factory=dict)
    old: dict = field(default_factory=dict)
    detail: str = ""


class SecondReader:
    """A slot of ``test_decoding`` beside ours. Made where the reading begins."""

    def __init__(self, database):
        self._database, self._slot = database, f"judge_{database.name}"
        self._kinds = {}
        database.execute(f"select pg_create_logical_replication_slot('{self._slot}', 'test_decoding')")

    def changes(self):
        """What was committed since the last call, in the order of commits; messages outside of transactions too."""
        query = f"select data from pg_logical_slot_get_changes('{self._slot}', null, null)"
        with self._session() as connection:
            # SQL sees the log as far as it is on disk; the servers of the tests do not wait for that.
            connection.execute("set synchronous_commit = on")
            connection.execute("create temporary table flushed ()")
            lines = [row[0] for row in connection.execute(query)]
        changes, xid = [], ""
        for line in lines:
            if line.startswith("BEGIN "):
                xid = line.removeprefix("BEGIN ")
            elif line.startswith("COMMIT "):
                xid = ""
            else:
                changes += _changes_of(line, xid)
        return changes

    @contextmanager
    def _session(self):
        with self._database.connect() as connection:
            for setting in _SETTINGS:
                connection.execute(setting)
            yield connection

    def read(self, declared, text):
        """A printed value as an event must have it."""
        kind, base, element = self._kind(declared)
        if kind == "d":
            return self.read(base, text)
        if element:
            with self._session() as connection:
                (items,) = connection.execute(f"select array_to_json(%s::{declared}::text[])::text", [text]).fetchone()
            return printed.list_of(lambda item: self.read(element, item))(items)
        if declared == "hstore":
            return json.loads(self._database.rows("select hstore_to_json(%s::text::hstore)::text", [text])[0][0])
        return _READ.get(declared, str)(text)

    def _kind(self, declared):
        if declared not in self._kinds:
            query = (
                "select typtype::text, format_type(typbasetype, null),"
                " case when typcategory = 'A' and typelem <> 0 then format_type(typelem, null) end"
                " from pg_type where oid = %s::regtype"
            )
            self._kinds[declared] = self._database.rows(query, [declared])[0]
        return self._kinds[declared]


def differences(judge, changes, events):
    """What our events and the changes of the judge do not have in common.

    Null columns of an old row are not printed by it; a value that an update did not touch it does not have, we may
    have it of the old row; the time of a commit and LSNs are not its matter.
    """
    if len(changes) != len(events):
        return [f"{len(events)} events, {len(changes)} changes"]
    found = []
    for n, (change, event) in enumerate(zip(changes, events, strict=True)):
        ours = (event.op, event.source.qualified_table, event.transaction.id if event.transaction else "")
        if ours != (change.op, change.table, change.xid):
            found.append(f"{n}: {ours} is not {(change.op, change.table, change.xid)}")
        elif change.op == "t":
            flags = {"restart_seqs": event.ddl["restart_identity"], "cascade": event.ddl["cascade"]}
            if set(change.detail.split()) - {"(no-flags)"} != {name for name, is_set in flags.items() if is_set}:
                found.append(f"{n}: {event.ddl} is not {change.detail}")
        elif change.table.startswith("__"):
            if wire(event.after) != json.loads(change.detail):
                found.append(f"{n}: message {event.after} is not {change.detail}")
        else:
            found += [f"{n}: {text}" for text in _row_differences(judge, change, wire(event.before), wire(event.after))]
    return found


def _row_differences(judge, change, before, after):
    old = {name: _value(judge, pair) for name, pair in change.old.items()}
    if before is not None or old:
        ours = {name: value for name, value in (before or {}).items() if value is not None}
        if ours != {name: value for name, value in old.items() if value is not None}:
            yield f"{change.op} {change.table} before: {ours} is not {old}"
    if change.op == "d":
        return
    if list(after) != list(change.new):
        yield f"{change.op} {change.table}: columns {list(after)} are not {list(change.new)}"
        return
    for name, pair in change.new.items():
        expected = _value(judge, pair)
        if expected is UNCHANGED:
            expected = old.get(name, {"_unchanged": True})
        if after[name] != expected:
            yield f"{change.op} {change.table}.{name} {pair[0]}: {after[name]!r} is not {expected!r}"


def _value(judge, pair):
    declared, text = pair
    return text if text is None or text is UNCHANGED else judge.read(declared, text)


def _changes_of(line, xid):
    row = _ROW.fullmatch(line)
    if row:
        table, verb, rest = row.groups()
        change = Change({"INSERT": "c", "UPDATE": "u", "DELETE": "d"}[verb], table, xid)
        if verb == "UPDATE" and rest.startswith("old-key: "):
            change.old, at = _columns(rest, len("old-key: "))
            assert rest.startswith("new-tuple: ", at), rest
            rest = rest[at + len("new-tuple: ") :]
        values, at = _columns(rest, 0)
        assert at == len(rest) or rest == "(no-tuple-data)", rest[at:]
        if verb == "DELETE":
            change.old = values
        else:
            change.new = values
        return [change]
    truncate = _TRUNCATE.fullmatch(line)
    if truncate:
        return [Change("t", table, xid, detail=truncate[2]) for table in truncate[1].split(", ")]
    message = _MESSAGE.fullmatch(line)
    assert message, line
    return [Change("c", f"__wal_message.{message[2]}", xid if message[1] == "1" else "", detail=message[3])]


def _columns(text, at):
    """Columns from ``at`` on with their types and values; where they end."""
    found = {}
    while column := _COLUMN.match(text, at):
        value, at = _literal(text, column.end())
        name = column[1]
        found[name[1:-1].replace('""', '"') if name.startswith('"') else name] = (column[2], value)
        at += text.startswith(" ", at)
    return found, at


def _literal(text, at):
    if text.startswith("B'", at):
        at += 1
    if text[at] == "'":
        end = at + 1
        while text[end] != "'" or text.startswith("''", end):
            end += 2 if text.startswith("''", end) else 1
        return text[at + 1 : end].replace("''", "'"), end + 1
    end = text.find(" ", at)
    end = len(text) if end < 0 else end
    word = text[at:end]
    return {"null": None, "unchanged-toast-datum": UNCHANGED}.get(word, word), end
