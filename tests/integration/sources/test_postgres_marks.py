"""What chunks have seen, on servers where commits stand in the WAL before others see them."""

import threading
import time
from contextlib import closing, contextmanager, suppress
from itertools import count

import psycopg
import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.sources.postgres.spec import PostgresSourceSpec
from tests.copied_chunks import copied_events, copier_of
from tests.fixtures.database import Database, PostgresServer
from tests.fixtures.fix_servers import private_servers
from tests.pipelines import wait_for
from tests.reading import postgres_reader, readers_of

OPTIONS = ("-c", "max_prepared_transactions=5", "-c", "wal_writer_delay=10s", "-c", "autovacuum=off")


@pytest.fixture(scope="module")
def server(server_room):
    """One for all: what is altered here is altered for the whole server."""
    with private_servers(server_room) as servers:
        servers.append(PostgresServer.ours(server_room.start("postgres-15", "postgres.sh", *OPTIONS)))
        yield servers[0]


@pytest.fixture
def database(server):
    with server.fresh_database() as fresh:
        fresh.execute(
            "create table t (id int primary key, v int)", "alter table t replica identity full",
            "insert into t select g, 1 from generate_series(1, 9) g", "create publication pub for all tables",
        )  # fmt: skip
        yield fresh


@pytest.fixture
def copy(database, tmp_path):
    with readers_of(postgres_reader, tmp_path) as make:
        copier = copier_of(make(database))
        yield copier
        copier.chunks.close()


def values_of(chunk):
    return {event.after["id"]: event.after["v"] for event in copied_events([chunk])}


@contextmanager
def waiting_for_a_standby(server):
    """Commits that are to be synchronous wait, until the end."""
    server.alter("set synchronous_standby_names = 'nobody'")
    try:
        wait_until(lambda: commits_wait(server))
        yield
    finally:
        server.alter("reset synchronous_standby_names")


def commits_wait(server):
    """Whether they do so by now: the setting is there, and a process of the server has told the others."""
    elsewhere = Database(server, "postgres")  # nobody reads its log
    trial = begun(elsewhere, "select pg_logical_emit_message(true, 'trial', '')", synchronous_commit="on")
    waiting = "from pg_stat_activity where datname = 'postgres' and wait_event = 'SyncRep'"
    while trial.is_alive():
        if elsewhere.rows(f"select pg_cancel_backend(pid) {waiting}"):
            trial.join()
            return True
    return False


def begun(database, *statements, **settings):
    """A thread that runs statements in transactions of their own, without waiting for it."""

    def run():
        with database.connect() as connection:
            for name, value in settings.items():
                connection.execute(f"set {name} = {value}")
            for statement in statements:
                with suppress(psycopg.errors.QueryCanceled):
                    connection.execute(statement)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(is_so, secs=60):
    deadline = time.monotonic() + secs
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def flushed(connection):
    return lsn_from_text(connection.execute("select pg_current_wal_flush_lsn()::text").fetchone()[0])


def test_synchronous_replication_commit_streamed_but_invisible(server, database, copy):
    plan = copy.plan("t")
    with waiting_for_a_standby(server):
        writer = begun(database, "update t set v = 2 where id = 1", synchronous_commit="on")
        (event,) = copy.reader.read(1)
        since = copy.stream.since()
        chunk = copy.read(plan)
        assert chunk.high.lsn > lsn_from_text(event.source.lsn)  # any mark of a position would be ahead of the rows
        assert values_of(chunk)[1] == 1
        assert not chunk.mark.sees(event.source)
        reason = copy.chunks.unsettled(chunk.mark, since)
        assert str(event.source.txId) in reason
        assert writer.is_alive()
    writer.join()
    chunk = copy.read(plan)
    assert values_of(chunk)[1] == 2
    assert chunk.mark.sees(event.source)
    assert copy.chunks.unsettled(chunk.mark, since) is None


def test_unsettled_before_notes_begin(server, database, copy):
    """What was delivered before need not be visible when notes begin."""
    assert_waits_for_what_was_delivered(server, database, copy, restarts=False)


def test_unsettled_after_restart_reads_from_settled_position(server, database, copy):
    """Nor need it be if another process has delivered it. No settled position is saved for that, and the log is read
    again from nowhere: chunks wait for what has a commit under way at this server when notes begin.
    """
    assert_waits_for_what_was_delivered(server, database, copy, restarts=True)


def assert_waits_for_what_was_delivered(server, database, copy, *, restarts):
    plan = copy.plan("t")
    with waiting_for_a_standby(server):
        writer = begun(database, "update t set v = 2 where id = 1", synchronous_commit="on")
        (event,) = copy.reader.read(1)
        if restarts:
            copy.stream = copy.reader.restart().open().stream
        since = copy.stream.since()
        assert event.source.txId in since.running
        for _ in range(2):
            chunk = copy.read(plan)
            assert copy.chunks.unsettled(chunk.mark, since)
    writer.join()
    chunk = copy.read(plan)
    assert copy.chunks.unsettled(chunk.mark, since) is None
    assert values_of(chunk)[1] == 2


def test_sync_commit_off_high_is_insert_lsn(database, copy):
    plan = copy.plan("t")
    with closing(database.connect()) as writer:
        writer.execute("set synchronous_commit = off")
        versions = count(2)

        def is_ahead():
            """Every ten seconds the server flushes by itself, maybe now."""
            version = next(versions)
            writer.execute(f"update t set v = {version} where id = 1")
            chunk = copy.read(plan)
            assert values_of(chunk)[1] == version
            return chunk.high.lsn > flushed(writer) and chunk

        chunk = wait_for(is_ahead)
        writer.execute("set synchronous_commit = on")
        writer.execute("insert into t values (99, 1)")
    *_, first, second = copy.reader.read_until(lambda events: events and events[-1].after["id"] == 99)
    assert lsn_from_text(first.source.lsn) < chunk.high.lsn <= lsn_from_text(second.source.lsn)
    assert [chunk.mark.sees(event.source) for event in (first, second)] == [True, False]


def test_long_transaction_over_whole_job(database, copy):
    plan = copy.plan("t")
    with closing(database.connect()) as idle:
        idle.execute("set synchronous_commit = on")
        idle.execute("begin")
        idle.execute("insert into t values (50, 1)")
        waiting = begun(
            database,
            "begin; insert into t values (51, 1); insert into t values (50, 2) on conflict do nothing; commit",
            synchronous_commit="on",
        )
        wait_until(lambda: database.rows("select count(*) from pg_locks where not granted")[0][0])
        busy = begun(database, "begin; insert into t values (52, 1); select pg_sleep(600)")
        wait_until(lambda: database.rows("select count(*) from pg_stat_activity where wait_event = 'PgSleep'")[0][0])
        since = copy.stream.since()
        chunk = copy.read(plan)
        assert len(since.running) == 3
        assert copy.chunks.unsettled(chunk.mark, since) is None
        idle.execute("commit")
        idle.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    waiting.join()
    busy.join()
    events = copy.reader.read(2)
    assert sorted(event.after["id"] for event in events) == [50, 51]
    assert [chunk.mark.sees(event.source) for event in events] == [False, False]
    assert set(values_of(chunk)) == set(range(1, 10))


def test_subtransactions(database, copy):
    plan = copy.plan("t")
    with closing(database.connect()) as writer:
        writer.execute("set synchronous_commit = on")
        writer.execute("begin")
        writer.execute("savepoint a")
        writer.execute("update t set v = 2 where id = 1")
        writer.execute("savepoint b")
        writer.execute("update t set v = 3 where id = 2")
        writer.execute("rollback to b")
        writer.execute("update t set v = 4 where id = 3")
        before = copy.read(plan)
        writer.execute("commit")
    after = copy.read(plan)
    events = copy.reader.read(2)
    assert {event.source.txId for event in events} == {events[0].source.txId}
    assert (before.mark.sees(events[0].source), after.mark.sees(events[0].source)) == (False, True)
    assert set(values_of(before).values()) == {1}
    assert [values_of(after)[n] for n in (1, 2, 3)] == [2, 1, 4]


def test_two_phase_commit_postgres(database, copy):
    plan = copy.plan("t")
    database.execute("begin; update t set v = 2 where id = 1; prepare transaction 'one'")
    since = copy.stream.since()
    before = copy.read(plan)
    (xid,) = since.running
    assert str(xid) in copy.chunks.unsettled(before.mark, since)
    database.execute("commit prepared 'one'")
    (event,) = copy.reader.read(1)
    after = copy.read(plan)
    assert event.source.txId == xid
    assert (before.mark.sees(event.source), after.mark.sees(event.source)) == (False, True)
    assert (values_of(before)[1], values_of(after)[1]) == (1, 2)
    assert copy.chunks.unsettled(after.mark, since) is None


def test_idle_server_high_at_page_boundary(database, copy, monkeypatch):
    monkeypatch.setattr("deltaforge.sources.postgres.stream.IDLE_MOVE_SECS", 1e9)
    plan = copy.plan("t")
    copy.read(plan)  # what reading writes is written: pruned pages

    def at_boundary():
        database.execute("select pg_switch_wal()")
        chunk = copy.read(plan)
        return chunk.high.lsn % (16 << 20) == 0 and chunk  # the server writes by itself every 15 seconds

    chunk = wait_for(at_boundary)
    reached = PostgresPosition(0)
    deadline = time.monotonic() + 60
    while reached.lsn < chunk.high.lsn:
        assert time.monotonic() < deadline
        copy.stream.hasten(chunk.high)
        for batch in copy.stream.poll(0.1):
            reached = batch.position


@pytest.fixture(scope="module")
def primary_and_standby(server_room):
    with private_servers(server_room) as servers:
        for _ in range(2):
            primary = servers[0].process if servers else None
            options = ("-c", "hot_standby_feedback=on")
            started = server_room.start("postgres-18", "postgres.sh", *options, clone_of=primary)
            servers.append(PostgresServer.ours(started))
            if primary is None:
                servers[0].create("shop")
        primary, standby = (Database(server, "shop") for server in servers)
        primary.execute("create table t (id int primary key, v int)", "create publication pub for all tables")
        wait_for(lambda: standby.rows("select 1 from pg_publication"))  # it is replayed there, too
        yield primary, standby


@pytest.fixture
def copy_of_standby(primary_and_standby, tmp_path):
    primary, standby = primary_and_standby
    primary.execute("truncate t")
    with readers_of(postgres_reader, tmp_path) as make:
        reader = make(standby, slot=f"s{time.time_ns()}", opens=False)
        opening = threading.Thread(target=reader.open)
        opening.start()
        while opening.is_alive():  # a standby makes a slot where the primary says who is running
            primary.execute("select pg_log_standby_snapshot()")
            opening.join(0.1)
        copier = copier_of(reader)
        yield copier
        copier.chunks.close()


def test_standby_snapshot_lists_no_xip(primary_and_standby, copy_of_standby):
    primary, standby = primary_and_standby
    copy = copy_of_standby
    with closing(primary.connect()) as writer:
        writer.execute("set synchronous_commit = on")
        writer.execute("begin")
        writer.execute("insert into t values (1, 1)")
        primary.execute("set synchronous_commit = on; insert into t values (2, 1)")
        (event,) = copy.reader.read(1)
        since, plan = copy.stream.since(), copy.plan("t")
        chunk = copy.read(plan)
        assert values_of(chunk) == {2: 1}
        assert chunk.mark.snapshot.is_standby
        assert not chunk.mark.snapshot.running
        assert not chunk.mark.sees(event.source)  # not surely: an older one runs
        assert copy.chunks.unsettled(chunk.mark, since) is None
        assert chunk.high.lsn <= lsn_from_text(standby.rows("select pg_last_wal_replay_lsn()::text")[0][0])
        writer.execute("commit")
    (late,) = copy.reader.read(1)
    after = copy.read(plan)
    assert (values_of(after), after.mark.sees(late.source)) == ({1: 1, 2: 1}, True)


def test_chunk_from_other_server_behind_proxy(primary_and_standby, copy_of_standby):
    """Two connections of a DSN that lead to a standby and to its primary."""
    copy, (primary, _) = copy_of_standby, primary_and_standby
    since, plan = copy.stream.since(), copy.plan("t")
    assert copy.chunks.unsettled(copy.read(plan).mark, since) is None
    config = {**copy.reader._spec.config.model_dump(), "dsn": primary.url()}
    with closing(PostgresSourceSpec(type="postgres", config=config).chunk_reader(None)) as elsewhere:
        chunk = elsewhere.read(copy.request(plan))
        with pytest.raises(SourceError, match="different servers"):
            elsewhere.unsettled(chunk.mark, since)
