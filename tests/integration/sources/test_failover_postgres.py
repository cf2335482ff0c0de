"""PostgreSQL: promoted standbys, other clusters, slots that are gone, new or copies."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg
import pytest

from deltaforge.core.errors import PositionLostError, SourceError
from tests.fixtures.database import Database
from tests.pipelines import postgres_source
from tests.reading import brief, postgres_reader
from tests.stepped import RunningCopy, SteppedCopy, source_spec

TABLES = ("create table t (id int primary key, v text)", "create publication pub for all tables")
BOTH = pytest.mark.parametrize("version", [15, 18])


@pytest.fixture
def reader_of(tmp_path):
    readers = []

    def make(database, **options):
        readers.append(postgres_reader(database, tmp_path / "state", **options))
        return readers[-1].open()

    yield make
    for reader in readers:
        reader.close()


def shop(server):
    database = Database(server, "shop")
    server.create("shop")
    database.execute(*TABLES)
    return database


def moved(reader, database, **config):
    """The reader with a DSN that leads to another server."""
    settings = reader._spec.config
    changed = settings.model_copy(update={"dsn": type(settings.dsn)(database.url()), **config})
    reader._spec = reader._spec.model_copy(update={"config": changed})
    return reader


def ids(events):
    return [event.after["id"] for event in events]


def promote(database):
    """Make the server what a new primary of the same data is: on the next timeline. Slots stay."""
    server = database.server
    server.stop()
    (server.process.folder / "data/recovery.signal").touch(mode=0o666)
    server.start("-c", "restore_command=false")
    deadline = time.monotonic() + 60
    while database.rows("select pg_is_in_recovery()") != [(False,)]:
        assert time.monotonic() < deadline


@BOTH
def test_timeline_switch_with_the_slot_present_resumes(private_postgres, reader_of, caplog, version):
    database = shop(private_postgres(version=version))
    reader = reader_of(database)
    database.execute("insert into t values (1, 'a')")
    reader.read(1)
    reader.close()
    database.execute("insert into t values (2, 'b')")
    before = reader.position
    promote(database)
    database.execute("insert into t values (3, 'c')")
    assert ids(reader.open().read(2)) == [2, 3]
    assert (before.timeline, reader.position.timeline) == (1, 2)
    assert reader.failover.known().identity.timeline == 2
    assert reader.failover.reconciliation().outcome == "resumed"
    assert f"from {before.system_id} (timeline 1) to {before.system_id} (timeline 2)" in caplog.text


@BOTH
def test_drift_at_another_timeline_is_recorded_and_halt_stops(private_postgres, reader_of, version):
    database = shop(private_postgres(version=version))
    reader = reader_of(database, on_schema_drift="halt")
    reader.close()
    database.execute("alter table t add extra int, alter id type bigint")
    promote(database)
    with pytest.raises(SourceError, match=r"on_schema_drift is halt: type changed: public\.t\.id") as caught:
        reader.open()
    assert caught.value.kind == "incompatible"
    kinds = [delta.kind for delta in reader.failover.reconciliation().deltas]
    assert (reader.failover.reconciliation().outcome, kinds) == ("halted", ["type_changed", "column_added"])
    database.execute("insert into t values (1, 'a', 7)")
    moved(reader, database, on_schema_drift="adapt").open()
    assert brief(reader.read(1)) == [("c", None, {"id": 1, "v": "a", "extra": 7})]


@BOTH
def test_slot_of_our_name_on_another_system_is_a_lost_position(private_postgres, reader_of, version):
    old, new = (shop(private_postgres(version=version)) for _ in range(2))
    reader = reader_of(old)
    old.execute("insert into t select n, repeat('x', 2000) from generate_series(1, 2000) n")
    reader.read(2000)
    reader.close()
    new.execute("select pg_create_logical_replication_slot('slot_shop', 'pgoutput')")
    with pytest.raises(PositionLostError, match=r"lost after failover: the server is another system .* Re-snapshot"):
        moved(reader, new).open()
    assert reader.failover.reconciliation().outcome == "position_lost"


@BOTH
def test_promoted_standby_without_the_slot_or_with_a_new_one_is_a_lost_position(private_postgres, reader_of, version):
    old = shop(private_postgres(version=version))
    reader = reader_of(old)
    old.execute("insert into t values (1, 'a')")
    reader.read(1)
    reader.close()
    new = Database(private_postgres(version=version, standby_of=old.server), "shop")
    old.server.kill()
    new.execute("select pg_promote()", "insert into t values (2, 'b')")
    with pytest.raises(PositionLostError, match="after failover: replication slot slot_shop does not exist any more"):
        moved(reader, new).open()
    new.execute("select pg_create_logical_replication_slot('slot_shop', 'pgoutput')")
    with pytest.raises(PositionLostError, match=r"after failover: replication slot .* created again"):
        reader.open()


def synced(reader, primary, standby):
    """Write and read until the standby has a copy of the slot; then how many rows there are."""
    copies = "select 1 from pg_replication_slots where synced and not temporary"
    deadline, count = time.monotonic() + 60, 0
    while not standby.rows(copies):
        assert time.monotonic() < deadline, "the standby makes no copy of the slot"
        count += 1
        primary.execute(f"insert into t values ({count}, 'a')", "select pg_log_standby_snapshot()")
        assert ids(reader.read(1)) == [count]
        reader.read_nothing(1.1)
        reader.stream.keep_alive(reader.position)
        with suppress(psycopg.errors.ObjectNotInPrerequisiteState):  # the standby has not received so much yet
            standby.execute("select pg_sync_replication_slots()")
    return count


@pytest.fixture
def failover_slot(private_postgres, reader_of):
    """A reader, its database on a primary and on a standby that has a copy of the slot, and the number of rows read."""
    primary = shop(private_postgres(version=18))
    reader = reader_of(primary)
    assert primary.rows("select failover from pg_replication_slots where slot_name = 'slot_shop'") == [(True,)]
    server = private_postgres("-c", "hot_standby_feedback=on", version=18, standby_of=primary.server)
    standby = Database(server, "shop")
    return reader, primary, standby, synced(reader, primary, standby)


def test_failover_slot_is_read_on_where_it_was_after_the_promotion(failover_slot):
    reader, primary, standby, count = failover_slot
    reader.close()
    primary.execute(f"insert into t values ({count + 1}, 'unread')")
    deadline = time.monotonic() + 60
    while not standby.rows("select 1 from t where v = 'unread'"):
        assert time.monotonic() < deadline
    with pytest.raises(SourceError, match="cannot be read before the promotion") as caught:
        moved(reader, standby).open()
    assert caught.value.kind == "connect"
    standby.execute("select pg_promote()", f"insert into t values ({count + 2}, 'new')")
    assert ids(reader.open().read(2)) == [count + 1, count + 2]
    assert reader.failover.reconciliation().outcome == "resumed"
    with pytest.raises(SourceError, match="it is the old primary") as caught:
        moved(reader, primary).open()
    assert caught.value.kind == "incompatible"


def test_promoted_standby_that_is_behind_what_we_read_is_a_lost_position(failover_slot):
    reader, primary, standby, count = failover_slot
    standby.server.stop()
    primary.execute(f"insert into t values ({count + 1}, 'never replicated')")
    assert ids(reader.read(1)) == [count + 1]
    reader.close()
    primary.server.kill()
    standby.server.start()
    standby.execute("select pg_promote()")
    with pytest.raises(PositionLostError, match=r"after failover: .* left timeline 1 at .* does not have all"):
        moved(reader, standby).open()


def test_slot_of_a_standby_is_read_and_says_what_it_holds_back(private_postgres, reader_of):
    primary = shop(private_postgres(version=18))
    server = private_postgres("-c", "hot_standby_feedback=on", version=18, standby_of=primary.server)
    standby = Database(server, "shop")
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(reader_of, standby)
        while not opened.done():  # a slot of a standby begins where its primary notes what is running
            primary.execute("select pg_log_standby_snapshot()")
            time.sleep(0.05)
    reader = opened.result()
    primary.execute("insert into t values (1, 'a')")
    assert brief(reader.read(1)) == [("c", None, {"id": 1, "v": "a"})]
    ((expected,),) = standby.rows("select pg_last_wal_replay_lsn() - restart_lsn from pg_replication_slots")
    assert 0 < expected <= reader.stream._catalog.retained_bytes("slot_shop")
    assert reader.metrics.slot_retained_bytes.labels("p", "test")._value.get() > 0


def test_failover_in_mid_job(private_postgres, tmp_path):
    database = shop(private_postgres(version=18))
    database.execute("insert into t select n, rpad('old', 300, 'x') from generate_series(1, 60) n")
    steps = SteppedCopy(source_spec(postgres_source(database)), tmp_path / "state", chunk_size=20)
    try:
        steps.request()
        steps.read_chunk()
        before = ids(steps.deliver_chunk())
        steps.read_chunk()  # of the old timeline, and it never leaves
        steps.stream.close()
        promote(database)
        last = max(before)
        database.execute(f"update t set v = 'new' where id in (1, {last + 1})", "delete from t where id = 60")
        steps.stream = steps.spec.build(steps.context)
        steps.position = steps.stream.open(steps.position)
        steps.snapshots.connected(steps.stream)
        steps.finish()
        database.execute("insert into t values (61, 'new')")
        steps.follow(lambda event: event.op == "c")
        assert [job.status for job in steps.state.ended] == ["completed"]
        assert 1 in before
        assert ids(event for event in steps.events if event.op == "u") == [1, last + 1]
        copied = ids(event for event in steps.events if event.op == "r")
        assert copied[: len(before)] == before
        assert set(copied) | {last + 1, 60} == set(range(1, 61))  # it went on at its cursor
        rows = {event.after["id"]: event.after["v"][:3] for event in steps.events if event.op != "d"}
        assert rows | {60: "old"} == {60: "old", **dict(database.rows("select id, left(v, 3) from t"))}
    finally:
        steps.close()


def test_slot_lost_fails(private_postgres, tmp_path):
    """The slot is read while the server takes its log away, since a transaction that is open holds it back."""
    keeps = ("max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=32MB")
    server = private_postgres(*(part for setting in keeps for part in ("-c", setting)))
    with server.fresh_database() as database, closing(database.connect()) as holder:
        database.execute(*TABLES, "insert into t select n, repeat('x', 300) from generate_series(1, 400) n")
        holder.autocommit = False
        source = source_spec(postgres_source(database))
        running = RunningCopy(source, tmp_path / "state", chunk_size=20, max_rows_per_second=20)
        try:
            running.request()
            running.take(lambda: any(table.row_count for job in running.state.jobs for table in job.tables))
            holder.execute("insert into t values (1000, 'open')")
            status, deadline = "select wal_status from pg_replication_slots", time.monotonic() + 60
            while database.rows(status) != [("lost",)]:
                assert time.monotonic() < deadline
                database.execute("create table w (v text)", "insert into w values ('x')", "drop table w")
                database.execute("select pg_switch_wal()", "checkpoint")
            with pytest.raises(PositionLostError, match="was invalidated"):
                running.take(running.is_over)
            (job,) = running.state.jobs
            (table,) = job.tables
            assert 0 < table.row_count == sum(event.op == "r" for event in running.events) < 400
            (status,) = [view["status"] for view in running.snapshots.view()]
            assert status == "running"  # nothing is given up of it: a reset says from where the log is read
        finally:
            running.close()
