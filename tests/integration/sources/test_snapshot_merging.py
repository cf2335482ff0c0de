"""Copied rows and the log of real servers, merged: what a chunk has not seen never hides what it says."""

import random
import threading
import time
from contextlib import contextmanager

import pytest

from tests.databases import database_with
from tests.pipelines import mysql_source, postgres_source, wait_for
from tests.stepped import Consumer, RunningCopy, SteppedCopy, source_spec

TABLE = "create table p (id int primary key, v bigint, pad varchar(200))"


@pytest.fixture(params=["mysql", "mariadb", "postgres"])
def database(request):
    with database_with(request, TABLE) as database:
        if request.param == "postgres":
            database.execute("alter table p replica identity full")
        yield database


@pytest.fixture
def copy(database, tmp_path):
    made = []

    def make(kind=SteppedCopy, **snapshot):
        source = (mysql_source if database.server.scheme == "mysql" else postgres_source)(database)
        made.append(kind(source_spec(source), tmp_path / "state", **snapshot))
        return made[-1]

    yield make
    for one in made:
        one.close()


def of(events):
    """Op, key and version."""
    return [(event.op, (event.after or event.before)["id"], (event.after or event.before).get("v")) for event in events]


def schema_of(database):
    return (database.name if database.server.scheme == "mysql" else "public"), "p"


def test_insert_update_delete_key_update_inside_window(copy, database):
    database.execute("insert into p (id, v) values " + ", ".join(f"({n}, 1)" for n in range(1, 13)))
    steps = copy(chunk_size=100)
    steps.request()
    # Seen: the log says it before, and the chunk repeats the newest version.
    database.execute(
        "update p set v = 2 where id = 1", "delete from p where id = 2", "insert into p (id, v) values (21, 2)"
    )
    database.execute("update p set id = 22, v = 2 where id = 3")
    steps.read_chunk()
    # Unseen, and delivered before the chunk leaves: the rows are left out.
    database.execute(
        "update p set v = 3 where id = 4", "delete from p where id = 5", "insert into p (id, v) values (24, 3)"
    )
    database.execute("update p set id = 25, v = 3 where id = 6", "update p set v = 3 where id = 21")
    steps.follow(lambda event: event.op == "u" and event.after["id"] == 21)
    copied = of(steps.deliver_chunk())
    assert sorted(copied) == [("r", 1, 2), *(("r", n, 1) for n in range(7, 13)), ("r", 22, 2)]
    assert of(event for event in steps.events if event.op != "r") == [
        ("u", 1, 2), ("d", 2, 1), ("c", 21, 2), ("u", 22, 2),
        ("u", 4, 3), ("d", 5, 1), ("c", 24, 3), ("u", 25, 3), ("u", 21, 3),
    ]  # fmt: skip
    assert steps.is_over()
    (table,) = steps.state.ended[0].tables
    assert (table.row_count, table.dropped_count) == (8, 4)
    # Delivered after the chunk has left: old rows, then their changes.
    steps.request()
    steps.read_chunk()
    assert {("r", 7, 1), ("r", 8, 1)} < set(of(steps.deliver_chunk()))
    database.execute("update p set v = 4 where id = 7", "delete from p where id = 8")
    steps.follow(lambda event: event.op == "d")
    assert of(steps.events)[-2:] == [("u", 7, 4), ("d", 8, 1)]


def test_truncate_and_ddl_inside_window(copy, database):
    database.execute("insert into p (id, v) values (1, 1), (2, 1)")
    steps = copy(chunk_size=100)
    steps.request()
    steps.read_chunk()
    database.execute("truncate table p", "insert into p (id, v) values (3, 1)")
    steps.follow(lambda event: event.op == "c")
    assert of(steps.finish()) == [("r", 3, 1)]
    steps.request()
    steps.read_chunk()
    database.execute("alter table p add column more int", "insert into p (id, v, more) values (4, 1, 5)")
    steps.follow(lambda event: event.op == "c")
    copied = steps.finish()
    assert of(copied) == [("r", 3, 1), ("r", 4, 1)]
    assert [event.after["more"] for event in copied] == [None, 5]
    assert all(job.status == "completed" for job in steps.state.ended)


def test_key_update_between_ranges_both_ways(copy, database):
    database.execute(
        "insert into p (id, v, pad) values " + ", ".join(f"({n}, 1, '{'x' * 190}')" for n in range(1, 201))
    )
    steps = copy(chunk_size=20)
    consumer = Consumer(lambda image: (image["id"], image["v"]))
    steps.request()
    steps.read_chunk()
    steps.deliver_chunk()
    database.execute("update p set id = 1001, v = 2 where id = 1", "update p set id = 0, v = 2 where id = 200")
    steps.finish()
    for event in steps.events:
        consumer.take(event)
    assert not consumer.wrong
    assert consumer.rows == dict(database.rows("select id, v from p"))


def test_long_transaction_over_whole_job(copy, database):
    database.execute("insert into p (id, v) values (1, 1), (2, 1)")
    steps = copy(chunk_size=1)
    open_session = database.connect()
    try:
        cursor = open_session.cursor()
        cursor.execute("begin")
        cursor.execute("update p set v = 2 where id = 1")
        database.execute("update p set v = 2 where id = 2")  # and what is open is in the log as well
        steps.request()
        assert sorted(of(steps.finish())) == [("r", 1, 1), ("r", 2, 2)]
        cursor.execute("commit")
    finally:
        open_session.close()
    steps.follow(lambda event: event.op == "u" and event.after["id"] == 1)
    assert of(steps.events)[-1] == ("u", 1, 2)


def test_table_without_key_waits_for_a_quiet_moment(copy, database):
    database.execute("create table n (id int, v bigint)", "insert into n values (1, 1), (2, 1), (2, 1)")
    if database.server.scheme == "postgres":
        database.execute("alter table n replica identity full")
    steps = copy(chunk_size=100)
    steps.request((schema_of(database)[0], "n"))
    steps.read_chunk()
    database.execute("delete from n where id = 1", "insert into n values (3, 1)")
    steps.follow(lambda event: event.op == "c")
    assert of(steps.finish()) == [("r", 2, 1), ("r", 2, 1), ("r", 3, 1)]


KEYS = 600


class Writer(threading.Thread):
    """Writes hot rows as fast as it can: each version of a row is higher than the one before."""

    inserts = threading.Lock()

    def __init__(self, database, seed):
        super().__init__(daemon=True)
        self.session, self.rng, self.is_stopping = database.connect(), random.Random(seed), False
        self.is_done = False

    def run(self):
        cursor = self.session.cursor()
        try:
            while not self.is_stopping:
                self.write(cursor)
            self.is_done = True
        finally:
            self.session.close()

    def write(self, cursor):
        key, kind = self.rng.randint(1, KEYS), self.rng.random()
        if kind < 0.7:
            cursor.execute("update p set v = v + 1 where id = %s", (key,))
        elif kind < 0.8:
            cursor.execute("delete from p where id = %s", (key,))
        else:
            with self.inserts:
                cursor.execute(
                    "insert into p (id, v) select %s, %s where not exists (select 1 from p where id = %s)",
                    (key, time.time_ns(), key),
                )


def test_hot_rows_never_go_backwards(copy, database):
    database.execute("insert into p (id, v) values " + ", ".join(f"({n}, 1)" for n in range(1, KEYS + 1)))
    running = copy(RunningCopy, chunk_size=50, intra_table_parallel=True, max_parallel_chunks=3)
    writers = [Writer(database, seed) for seed in range(3)]
    running.request()
    for writer in writers:
        writer.start()
    try:
        stop_at = time.monotonic() + 2
        while time.monotonic() < stop_at or not running.state.ended:
            running.take(running.is_over)
            running.request()
    finally:
        for writer in writers:
            writer.is_stopping = True
        for writer in writers:
            writer.join()
    database.execute("insert into p (id, v) values (999, 1)")
    running.take(
        lambda: running.is_over() and any(event.after and event.after["id"] == 999 for event in running.events[-500:])
    )
    assert all(writer.is_done for writer in writers)
    consumer = Consumer(lambda image: (image["id"], image["v"]))
    for event in running.events:
        consumer.take(event)
    assert not consumer.wrong, (len(consumer.wrong), consumer.wrong[:3])
    assert consumer.copied_count
    assert consumer.rows == dict(database.rows("select id, v from p"))


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_unchanged_toast_of_dropped_row_is_reread(copy, database):
    database.execute(
        "alter table p replica identity default", "alter table p alter column pad type text",
        "alter table p alter column pad set storage external",
    )  # fmt: skip
    assert_reread(copy, database)


@pytest.mark.parametrize("database", ["mysql", "mariadb"], indirect=True)
def test_minimal_row_image_is_reread(copy, database):
    database.execute("alter table p modify pad text")
    assert_reread(copy, database, "set session binlog_row_image = minimal")


def assert_reread(copy, database, *settings):
    """Rows whose new version the log does not hold whole are read again, as long as they are there."""
    database.execute(f"insert into p (id, v, pad) values (1, 1, '{'a' * 5000}'), (2, 1, '{'b' * 5000}'), (3, 1, 'c')")
    steps = copy(chunk_size=100)
    steps.request()
    steps.read_chunk()
    database.execute(*settings, "update p set v = 2 where id in (1, 2)", "delete from p where id = 2")
    steps.follow(lambda event: event.op == "d")
    copied = steps.finish()
    assert [(event.after["id"], event.after["v"], event.after["pad"][:1]) for event in copied] == [
        (3, 1, "c"),
        (1, 2, "a"),
    ]
    (table,) = steps.state.ended[0].tables
    assert (table.dropped_count, table.reread_count, table.reread) == (2, 1, ())


@contextmanager
def ended_xa(database, statement):
    """What is prepared in here is ended by a statement, whatever happens: it holds locks that outlive its session."""
    try:
        yield
    finally:
        database.execute(statement)


@pytest.mark.parametrize("database", ["mysql", "mariadb"], indirect=True)
@pytest.mark.parametrize("outcome", ["rollback", "commit"])
def test_xa_rollback_is_reread(copy, database, outcome):
    database.execute("insert into p (id, v) values " + ", ".join(f"({n}, 1)" for n in range(1, 7)))
    steps = copy(chunk_size=2)
    steps.request()
    steps.read_chunk()
    assert of(steps.deliver_chunk()) == [("r", 1, 1), ("r", 2, 1)]
    prepared = ["xa start 'x'", "update p set v = 2 where id in (1, 3)", "update p set id = 40, v = 2 where id = 4"]
    with ended_xa(database, f"xa {outcome} 'x'"):
        database.execute(*prepared, "xa end 'x'", "xa prepare 'x'")
        steps.follow(lambda event: event.op == "u" and event.after["id"] == 40)
        # It may have any end: its rows wait for that, and the others do not.
        deadline = time.monotonic() + 60
        while not {5, 6} <= {event.after["id"] for event in steps.events} and time.monotonic() < deadline:
            steps.merge()
            steps.work()
            steps._poll(0.01)
        assert of(event for event in steps.events if event.op == "r") == [("r", n, 1) for n in (1, 2, 5, 6)]
        assert not steps.is_over()
    steps.finish()
    rows = {event.after["id"]: event.after["v"] for event in steps.events}
    left = {4: 1} if outcome == "rollback" else {40: 2}
    assert {key: rows[key] for key in (1, 2, 3, 5, 6, *left)} == dict(database.rows("select id, v from p"))
    assert [event.op for event in steps.events if event.after["id"] in (1, 3, *left)][-3:] == ["r"] * 3


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_killed_query_is_tried_again(copy, database):
    database.execute(
        "insert into p (id, v, pad) values " + ", ".join(f"({n}, 1, '{'x' * 190}')" for n in range(1, 201))
    )
    steps = copy(chunk_size=20)
    steps.request()
    steps.read_chunk()
    steps.deliver_chunk()
    pid = steps.reader._connected().side.info.backend_pid
    assert database.rows("select pg_terminate_backend(%s)", (pid,)) == [(True,)]
    steps.finish()
    assert sorted(of(steps.events)) == [("r", n, 1) for n in range(1, 201)]
    assert steps.state.ended[0].status == "completed"


def test_drop_and_recreate_table(copy, database):
    database.execute(
        "insert into p (id, v) values (1, 1), (2, 1)",
        "create table q (id int primary key, v bigint)",
        "insert into q values (1, 1)",
    )
    steps = copy(chunk_size=100)
    steps.request()
    steps.read_chunk()
    database.execute(
        "drop table p", "create table p (id int primary key, name varchar(9))", "insert into p values (7, 'new')"
    )
    steps.follow(lambda event: event.op == "c")
    copied = steps.finish()
    assert {event.source.table for event in copied} == {"p", "q"}
    assert [event.after for event in copied if event.source.table == "p"] == [{"id": 7, "name": "new"}]
    assert [job.status for job in steps.state.ended] == ["completed"]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_table_without_columns_is_not_said_to_be_gone(copy, database, caplog):
    database.execute("insert into p (id, v) values (1, 1)", "create table bare ()")
    steps = copy(chunk_size=100)
    steps.request(("public", "bare"), ("public", "p"))
    assert of(steps.finish()) == [("r", 1, 1)]
    (said,) = [record.getMessage() for record in caplog.records if "bare" in record.getMessage()]
    assert "has no columns" in said


@pytest.mark.parametrize("database", ["mysql", "mariadb"], indirect=True)
def test_binlog_purged_in_mid_job_goes_on(copy, database):
    rows = ", ".join(f"({n}, 1, '{'x' * 190}')" for n in range(1, 201))
    database.execute(f"insert into p (id, v, pad) values {rows}")
    steps = copy(chunk_size=20)
    steps.request()
    steps.read_chunk()
    steps.deliver_chunk()
    steps.read_chunk()  # what it has seen stands in a log that is gone when it leaves
    database.execute("flush binary logs", "update p set v = 2 where id = 200", "flush binary logs")
    database.execute("update p set v = 2 where id = 199")
    steps.follow(lambda event: event.op == "u" and event.after["id"] == 199)
    newest = database.rows("show binary logs")[-1][0]

    def is_purged():
        database.execute(f"purge binary logs to '{newest}'")
        return len(database.rows("show binary logs")) == 1

    wait_for(is_purged)
    steps.finish()
    assert [job.status for job in steps.state.ended] == ["completed"]
    copied = of(event for event in steps.events if event.op == "r")
    assert sorted(copied) == [("r", n, 1 + (n >= 199)) for n in range(1, 201)]
