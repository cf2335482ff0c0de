"""Whole transactions that the kernel takes out of a real server's log are what their events give one by one."""

import random
from contextlib import closing

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.positions import MysqlPosition
from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.sources.mysql.client import DumpConnection
from tests.binlog import GTID, MARIADB_GTID, QUERY, ROTATE, XID, with_checksum
from tests.reading import mysql_reader, wire

pytestmark = pytest.mark.skipif(kernel is None, reason=description)


class Replay:
    """A recorded dump, in pieces of 1 to ``most`` events."""

    is_drained = True

    def __init__(self, events, rnd, most):
        self._events, self._rnd, self._most = list(events), rnd, most

    def read(self, _wait_secs):
        count = self._rnd.randint(1, self._most)
        piece, self._events = self._events[:count], self._events[count:]
        return piece

    @property
    def is_over(self):
        return not self._events

    def close(self):
        """Nothing is open."""


def write_transactions(database, rnd, *, has_domains):
    database.execute(
        "create table t (id int primary key, v varchar(20), d date)",
        "create table wide (id int primary key, v text)",
        "create table skipped (id int primary key)",
    )
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set session sql_mode = ''")
        for row in range(1, 401):
            kind = rnd.randrange(14)
            if kind == 0 and has_domains:
                cursor.execute(f"set session gtid_domain_id = {rnd.randrange(3)}")
            cursor.execute("begin")
            cursor.execute("insert into t values (%s, 'new', '2024-00-01')", (row,))
            if kind == 1:
                cursor.execute("update t set v = repeat('é', 9) where id <= %s", (row,))
            elif kind == 2:
                cursor.execute("delete from t where id = %s", (row,))
            elif kind == 3:
                cursor.execute("insert into wide values (%s, repeat('w', 70000))", (row,))
                cursor.execute("insert into t values (%s, null, null)", (-row,))
            elif kind == 4:
                cursor.execute("insert into skipped values (%s)", (row,))
            elif kind == 5:
                cursor.execute("savepoint s")
                cursor.execute("insert into t values (%s, 'gone', null)", (-row,))
                cursor.execute("rollback to savepoint s")
            elif row in (51, 251):
                for extra in range(90):  # more than are held back for a transaction that is not whole
                    cursor.execute("insert into wide values (%s, %s)", (-100 * row - extra, row))
            cursor.execute("rollback" if kind == 7 else "commit")
            if kind == 8:
                cursor.execute("insert into skipped values (%s)", (row,))
            elif kind == 9:
                cursor.execute("truncate table wide")
            elif row == 201:
                cursor.execute("alter table t add column more int default 7")
                cursor.execute("update t set more = 8 where id = 1")
                cursor.execute("alter table t drop column more")
            elif row == 301:
                cursor.execute("flush binary logs")
        cursor.execute("insert into t values (0, 'last', null)")


def recorded(reader):
    """The events of the dump up to the row that was written last."""
    stream, events = reader.stream, []
    read = stream._dump.read
    stream._dump.read = lambda wait_secs: events.extend(piece := read(wait_secs)) or piece
    count = 0
    while True:
        for batch in stream.poll(0.1):
            count += len(batch.events())
            if any(event.after and event.after.get("v") == "last" for event in batch.events()):
                return events, count


def without_ends(events):
    """As newer MariaDB writes them: no end position between a transaction's first event and its last."""
    bare, is_open = [], False
    for event in events:
        if event[4] == XID:
            is_open = False
        if is_open:
            bare.append(with_checksum(event[:13] + bytes(4) + event[17:-4]))
        else:
            bare.append(event)
        is_open = is_open or event[4] in (GTID, MARIADB_GTID)
        if event[4] == QUERY and b"BEGIN" not in event:  # a statement that is a transaction of its own
            is_open = False
    return bare


def moved_by(events, start, shift):
    """The first file as if so many bytes stood before ``start``: a header holds the last 32 bits of a position."""
    rotations, moved = 0, []
    for event in events:
        rotations += event[4] == ROTATE
        log_pos = int.from_bytes(event[13:17], "little")
        if rotations == 1 and log_pos > start.pos:
            head = event[:13] + (log_pos + shift & 0xFFFFFFFF).to_bytes(4, "little")
            moved.append(with_checksum(head + event[17:-4]))
        else:
            moved.append(event)
    return moved


class Outcome:
    """What a replay gave.

    Attributes:
        events: As consumers see them.
        ends: Number of events so far, and position, of each batch.
        position: Where the stream stands at the end.
    """

    def __init__(self, reader, replay):
        self.events, self.ends = [], []
        while not replay.is_over:
            self._add(reader.stream.poll(0.001))
        self._add(reader.stream.poll(0.05))
        self.position, self.counters = reader.stream._position(), counters(reader)

    def _add(self, batches):
        for batch in batches:
            self.events += wire(batch.events())
            self.ends.append((len(self.events), batch.position))


def counters(reader):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in (reader.metrics.source_events, reader.metrics.source_bytes, reader.metrics.null_dates)
        for sample in family.collect()[0].samples
        if sample.name.endswith("_total")
    }


def by_event(stream):
    """Every event by itself. Gives the positions between transactions, as they are passed."""
    stream._scanner, positions, on_event = None, [], stream._on_event

    def noting(data, now):
        on_event(data, now)
        if stream._tx is None:
            positions.append(stream._position())

    stream._on_event = noting
    return positions


def by_transaction(stream):
    """As in production. Gives the numbers of events that were taken at once."""
    taken, on_transactions = [], stream._on_transactions

    def noting(found, now):
        taken.append(found.event_count)
        on_transactions(found, now)

    stream._on_transactions = noting
    return taken


@pytest.mark.parametrize("most", [1, 7, 400], ids="pieces of up to {} events".format)
@pytest.mark.parametrize("prepare", [list, without_ends], ids=["as written", "without end positions"])
def test_whole_transactions_are_their_events(any_mysql_database, tmp_path, prepare, most):
    database, rnd = any_mysql_database, random.Random(most)

    def reader_of(folder, max_events):
        tables = [f"{database.name}.t", f"{database.name}.wide"]
        return mysql_reader(database, tmp_path / folder, tables=tables, limits={"max_events": max_events})

    def replayed(reader, most, observe):
        with closing(reader.open(start)):
            reader.stream._dump.close()
            reader.stream._dump = replay = Replay(events, rnd, most)
            observed = observe(reader.stream)
            return Outcome(reader, replay), observed

    with closing(reader_of("recorded", 1).open()) as reader:
        start = reader.position
        write_transactions(database, rnd, has_domains=reader.stream._server.flavor == "mariadb")
        events, total = recorded(reader)
    events = prepare(events)
    expected, positions = replayed(reader_of("by event", 1), 1, by_event)
    found, taken = replayed(reader_of("by transaction", rnd.randint(1, 500)), most, by_transaction)
    assert found.events == expected.events
    assert found.position == expected.position
    assert found.counters == expected.counters
    assert total / 2 < sum(taken) <= total == len(found.events)
    for count, position in found.ends:
        assert position in positions
        assert all(place(event) <= position.order for event in found.events[:count])
        assert all(place(event) > position.order for event in found.events[count:])


@pytest.mark.parametrize("prepare", [list, without_ends], ids=["as written", "without end positions"])
def test_positions_behind_4_gib_are_counted_on(any_mysql_database, tmp_path, prepare):
    database, rnd = any_mysql_database, random.Random(1)
    with closing(mysql_reader(database, tmp_path / "recorded").open()) as reader:
        start = reader.position
        write_transactions(database, rnd, has_domains=reader.stream._server.flavor == "mariadb")
        events, _ = recorded(reader)

    def replayed(folder, events, shift, observe):
        with closing(mysql_reader(database, tmp_path / folder, limits={"max_events": 50}).open(start)) as reader:
            stream = reader.stream
            stream._dump.close()
            stream._dump = replay = Replay(events, rnd, 40)
            stream._resume = MysqlPosition(start.file, start.pos + shift)
            stream._end_pos = start.pos + shift
            observe(stream)
            return Outcome(reader, replay)

    expected = replayed("near", prepare(events), 0, by_event)
    middle = next(event for event in expected.events if (event["after"] or {}).get("id", 0) > 150)["source"]["pos"]
    shift = (1 << 32) - middle
    far = prepare(moved_by(events, start, shift))
    for event in expected.events:
        if event["source"]["file"] == start.file:
            event["source"]["pos"] += shift
            event["origin"]["pos_begin"] += shift
    assert any(event["source"]["pos"] > 1 << 32 for event in expected.events)
    for observe in (by_event, by_transaction):
        found = replayed(observe.__name__, far, shift, observe)
        assert found.events == expected.events
        assert found.position == expected.position
    with pytest.raises(SourceError, match="behind 4 GiB"):
        DumpConnection(database.url(), "far", is_failover=False).start(start.file, 1 << 32)


def place(event):
    return MysqlPosition(event["source"]["file"], event["source"]["pos"]).order
