"""A seeded random workload, and the oracle that compares what a sink got with the tables.

Every row carries ``seq``, a number that grows with every change in the order of commits, so order and gaps show.
"""

import random
import threading

TEXTS = ["", "x", "é", "\U0001f600 emoji", "NULL", "quote ' \" \\ %", "tab\tnew\nline", "z" * 300]
NUMBERS = [0, 1, -1, 2**31, -(2**63), 2**63 - 1]
DECIMALS = ["0.00", "-99999999.99", "99999999.99", "1.50", None]


class Workload:
    """Transactions over two tables: inserts, updates, key changes, deletes, rollbacks, savepoints, truncate, DDL.

    Args:
        database: Where; a fresh one of the fixtures.
        seed: Equal seeds do equal things.

    Attributes:
        moves_keys: Whether updates change keys, which then go by the new one.
        has_ddl: Whether it alters and truncates tables, too. A table that is copied is then copied anew.
        has_truncates: Whether it truncates tables if it has DDL.
        committed: Each row change that is committed, see :func:`change_of`; no two are equal.
    """

    def __init__(self, database, seed):
        self.has_ddl = self.has_truncates = self.moves_keys = True
        self.committed = []
        self._open = []  # of the transaction that is open
        self._database = database
        self._rng = random.Random(seed)
        self._is_mysql = database.server.scheme == "mysql"
        self._seq = 0
        self._ids = {"items": [], "pairs": []}
        self._next_id = 1
        self._extra_columns = 0
        self.transaction_count = 0
        self.committed_count = 0  # row changes of the random transactions
        self.large_count = 0  # large transactions that were asked for and are committed
        self._large_rows = 0

    def create(self):
        self._database.execute(
            "create table items (id bigint primary key, seq bigint not null, name varchar(400), amount decimal(10,2),"
            " big bigint)",
            "create table pairs (a int, b varchar(20), seq bigint not null, note text, primary key (a, b))",
        )
        if not self._is_mysql:
            self._database.execute("create publication pub for all tables")

    def run(self, count, *, stop=None, gap_secs=0.0):
        """``count`` transactions with gaps between them, or until the event is set."""
        with self._database.connect() as connection, connection.cursor() as cursor:
            for _ in range(count):
                if stop is not None and stop.is_set():
                    return
                if self._large_rows:
                    self._large_transaction(cursor, self._large_rows)
                self._transaction(cursor)
                if stop is not None and gap_secs:
                    stop.wait(gap_secs)

    def start(self, count=10**9, *, gap_secs=0.0):
        """Run in a thread; the returned function stops and joins it."""
        stop, failures = threading.Event(), []

        def body():
            try:
                self.run(count, stop=stop, gap_secs=gap_secs)
            except Exception as error:  # noqa: BLE001 - handed to the test's thread
                failures.append(error)

        thread = threading.Thread(target=body)
        thread.start()

        def end():
            stop.set()
            thread.join(timeout=60)
            assert not failures, failures

        return end

    def big_transaction(self, row_count, text=""):
        """One transaction of many rows, each with a text."""
        with self._database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("begin")
            self._insert_many(cursor, row_count, text)
            self._commit(cursor)

    def ask_for_large(self, row_count):
        """Have the running workload insert so many rows in one transaction next; ``large_count`` tells when it did."""
        self._large_rows = row_count

    def _large_transaction(self, cursor, row_count):
        """Half of the rows, others that are rolled back to a savepoint, the other half."""
        text = "y" * 40
        cursor.execute("begin")
        self._insert_many(cursor, row_count // 2, text)
        before, change_count = list(self._ids["items"]), len(self._open)
        cursor.execute("savepoint large")
        self._insert_many(cursor, row_count // 4, "never")
        cursor.execute("rollback to savepoint large")
        self._ids["items"] = before
        del self._open[change_count:]
        self._insert_many(cursor, row_count - row_count // 2, text)
        self._commit(cursor)
        self.committed_count += row_count
        self._large_rows, self.large_count = 0, self.large_count + 1

    def _transaction(self, cursor):
        self.transaction_count += 1
        pick = self._rng.random()
        if pick < 0.01 and self._extra_columns < 10 and self.has_ddl:
            self._add_column(cursor)
        elif pick < 0.015 and self.has_ddl and self.has_truncates:
            cursor.execute("truncate table pairs")
            self._ids["pairs"].clear()
        else:
            before = {table: list(ids) for table, ids in self._ids.items()}
            cursor.execute("begin")
            change_count = self._rng.randint(1, 6)
            for _ in range(change_count):
                self._change(cursor)
            if pick < 0.1:
                saved, kept = {table: list(ids) for table, ids in self._ids.items()}, list(self._open)
                cursor.execute("savepoint sp")
                self._change(cursor)
                cursor.execute("rollback to savepoint sp")
                self._ids, self._open = saved, kept
            if pick > 0.95:
                cursor.execute("rollback")
                self._ids, self._open = before, []
            else:
                self._commit(cursor)
                self.committed_count += change_count

    def _commit(self, cursor):
        cursor.execute("commit")
        self.committed += self._open
        self._open = []

    def _insert_many(self, cursor, row_count, text):
        for start in range(0, row_count, 1000):
            first = self._seq + 1
            values = [
                f"({self._new_id('items')},{self._bump()},'big {n}{text}',1.00,{n})"
                for n in range(start, min(start + 1000, row_count))
            ]
            self._open += [("items", seq) for seq in range(first, self._seq + 1)]
            cursor.execute(f"insert into items (id, seq, name, amount, big) values {','.join(values)}")

    def _change(self, cursor):
        table = self._rng.choice(["items", "items", "pairs"])
        ids = self._ids[table]
        verb = self._rng.choice(["insert", "insert", "update", "update", "key", "delete"]) if ids else "insert"
        if table == "items":
            self._change_item(cursor, verb, ids)
        else:
            self._change_pair(cursor, verb, ids)

    def _change_item(self, cursor, verb, ids):
        seq = self._bump()
        if verb == "insert":
            row = (self._new_id("items"), seq, self._text(), self._rng.choice(DECIMALS), self._rng.choice(NUMBERS))
            cursor.execute("insert into items (id, seq, name, amount, big) values (%s, %s, %s, %s, %s)", row)
        elif verb == "update" or (verb == "key" and not self.moves_keys):
            cursor.execute(
                "update items set seq = %s, name = %s where id = %s", (seq, self._text(), self._rng.choice(ids))
            )
        elif verb == "key":
            old = ids.pop(self._rng.randrange(len(ids)))
            cursor.execute("update items set seq = %s, id = %s where id = %s", (seq, self._new_id("items"), old))
        else:
            gone = ids.pop(self._rng.randrange(len(ids)))
            cursor.execute("delete from items where id = %s", (gone,))
        self._open.append(("items", (gone,)) if verb == "delete" else ("items", seq))

    def _change_pair(self, cursor, verb, ids):
        seq = self._bump()
        if verb == "insert":
            key = (self._next_id, self._rng.choice(["a", "é", ""]))
            self._next_id += 1
            ids.append(key)
            cursor.execute("insert into pairs (a, b, seq, note) values (%s, %s, %s, %s)", (*key, seq, self._text()))
        elif verb in ("update", "key"):
            cursor.execute(
                "update pairs set seq = %s, note = %s where a = %s and b = %s",
                (seq, self._text(), *self._rng.choice(ids)),
            )
        else:
            gone = ids.pop(self._rng.randrange(len(ids)))
            cursor.execute("delete from pairs where a = %s and b = %s", gone)
        self._open.append(("pairs", gone) if verb == "delete" else ("pairs", seq))

    def _add_column(self, cursor):
        self._extra_columns += 1
        cursor.execute(f"alter table items add column extra{self._extra_columns} varchar(10) default 'd'")
        if self._extra_columns > 2:
            cursor.execute(f"alter table items drop column extra{self._extra_columns - 2}")

    def _new_id(self, table):
        self._ids[table].append(self._next_id)
        self._next_id += 1
        return self._next_id - 1

    def _bump(self):
        self._seq += 1
        return self._seq

    def _text(self):
        return self._rng.choice([*TEXTS, None])


KEYS = {"items": ("id",), "pairs": ("a", "b")}


def key_of(event):
    """The key that a row has by an event: the one that its message has."""
    image = event["after"] if event["after"] is not None else event["before"]
    return tuple(image[column] for column in KEYS[event["source"]["table"]])


def change_of(event):
    """What an event of the log says was committed: the table, and the number of the change or the key that is gone."""
    deleted = event["op"] == "d"
    return event["source"]["table"], key_of(event) if deleted else event["after"]["seq"]


def assert_complete(events, committed, since=0):
    """Every committed change has come, and nothing that was not committed.

    Args:
        events: Of one database.
        committed: See :class:`Workload`.
        since: Those from there on have come.
    """
    delivered = {change_of(event) for event in events if event["op"] in "cud"}
    lost = [change for change in committed[since:] if change not in delivered]
    assert not lost, f"{len(lost)} changes are lost: {lost[:5]}"
    never = delivered.difference(committed)
    assert not never, f"{len(never)} changes were never committed: {sorted(never, key=str)[:5]}"


class Consumer:
    """Rebuilds the tables by applying every event in order.

    Args:
        keeps_moved_away: There is order for each key alone. A key that a row had before an update is not used again by
            the workload, so what comes of it later is from before.

    Attributes:
        tables: As far as events were applied.
        event_count: How many were.
    """

    def __init__(self, *, keeps_moved_away=False):
        self.tables = {"items": {}, "pairs": {}}
        self.event_count = 0
        self._moved = set() if keeps_moved_away else None

    def apply(self, events):
        for event in events:
            name = event["source"]["table"]
            table, key = self.tables[name], KEYS[name]
            if event["op"] == "t":
                table.clear()
                continue
            new = event["after"] and tuple(event["after"][k] for k in key)
            if event["before"] is not None:
                old = tuple(event["before"][k] for k in key)
                table.pop(old, None)
                if self._moved is not None and new is not None and new != old:
                    self._moved.add((name, old))
            if new is not None and not (self._moved and (name, new) in self._moved):
                table[new] = event["after"]
        self.event_count += len(events)


def selected(database):
    """The tables as the server has them, in the values of events."""

    def plain(value):
        return value if value is None or isinstance(value, int | str) else str(value)

    tables = {}
    for name, key in (("items", 1), ("pairs", 2)):
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"select * from {name}")
            columns = [column[0] for column in cursor.description]
            rows = [dict(zip(columns, map(plain, row), strict=True)) for row in cursor.fetchall()]
        tables[name] = {tuple(row[c] for c in columns[:key]): row for row in rows}
    return tables


def without_added(tables):
    """Columns that DDL added are filled in by the server without an event: they are left out."""
    return {
        name: {key: {c: v for c, v in row.items() if not c.startswith("extra")} for key, row in rows.items()}
        for name, rows in tables.items()
    }


def assert_ordered_without_gap(events):
    """Each event first seen comes in log order; a repetition starts again at an older one and runs through.

    Returns:
        The number of repeated events.
    """
    order, place, repeated, expected = [], {}, 0, 0
    for event in events:
        known = place.get(event["event_id"])
        if known is None:
            assert expected == len(order), "a new event came before a repetition was complete"
            place[event["event_id"]] = len(order)
            order.append(event)
            expected = len(order)
        else:
            assert known == expected or known < expected, "a repetition skipped an event"
            assert order[known] == event, f"one event id stands for two events: {_differing(order[known], event)}"
            repeated += 1
            expected = known + 1
    sequences = [e["after"]["seq"] for e in order if e["op"] in "cu"]
    assert sequences == sorted(sequences), "events are out of order"
    return repeated


def _differing(event, other):
    return {name: (event.get(name), other.get(name)) for name in event | other if event.get(name) != other.get(name)}
