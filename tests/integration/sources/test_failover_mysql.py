"""MySQL and MariaDB: the server behind the DSN is another one than before."""

import time

import pytest

from deltaforge.core.errors import PositionLostError, SourceError
from deltaforge.core.positions import MysqlPosition
from tests.fixtures.database import Database
from tests.pipelines import mysql_source
from tests.reading import brief, mysql_reader
from tests.stepped import SteppedCopy, source_spec

NAME = "shop"
T = ("create database shop", "create table shop.t (id int primary key, v varchar(9))")


def replicate(primary, replica, name):
    """Make a replica and return what waits until it has everything."""
    login = f"host='127.0.0.1', {{0}}_port={primary.port}, {{0}}_user='root', {{0}}_password='root'"
    if name == "mysql":
        change = f"change replication source to source_{login.format('source')}, source_auto_position=1"
        start, stop = "start replica", "stop replica"
        change += ", get_source_public_key=1"
        at, wait = "select @@global.gtid_executed", "select wait_for_executed_gtid_set(%s, 60)"
    else:
        change = f"change master to master_{login.format('master')}, master_use_gtid=slave_pos"
        start, stop = "start slave", "stop slave"
        at, wait = "select @@global.gtid_binlog_pos", "select master_gtid_wait(%s, 60)"
    both = [Database(server, "information_schema") for server in (primary, replica)]
    both[1].execute(change, start)

    def catch_up():
        ((position,),) = both[0].rows(at)
        assert both[1].rows(wait, [position]) == [(0,)]
        both[1].execute(stop)

    return catch_up


@pytest.fixture
def pair(private_mysql, fault_proxy):
    """``pair(*options, name="mysql")``: database ``shop`` on a server, on its replica, what waits for the replica, a proxy."""

    def make(*options, name="mysql"):
        primary, replica = (private_mysql(*options, name=name) for _ in range(2))
        catch_up = replicate(primary, replica, name)
        Database(primary, "information_schema").execute(*T)
        return Database(primary, NAME), Database(replica, NAME), catch_up, fault_proxy(primary.port)

    return make


@pytest.fixture
def reader_of(tmp_path):
    readers = []

    def make(database, **options):
        readers.append(mysql_reader(database, tmp_path / "state", **options))
        return readers[-1].open()

    yield make
    for reader in readers:
        reader.close()


def ids(events):
    return [event.after["id"] for event in events]


def identity(database):
    return database.rows("select @@server_uuid")[0][0]


@pytest.mark.parametrize("name", ["mysql", "mariadb", "mariadb-10"])
def test_reading_goes_on_by_gtid_at_a_promoted_replica_and_skips_nothing(pair, reader_of, caplog, name):
    old, new, catch_up, proxy = pair(name=name)
    reader = reader_of(old, url=old.url(port=proxy.port))
    old.execute("flush binary logs", "flush binary logs", "insert into t values (1, 'a')")
    assert ids(reader.read(1)) == [1]
    before = reader.failover.known().identity
    proxy.stall()  # of the following only the new server can tell
    old.execute("insert into t values (2, 'b')", "insert into t values (3, 'c')")
    catch_up()
    old.server.kill()
    new.execute("insert into t values (4, 'd')")
    proxy.lead_to(new.server.port)
    proxy.unstall()
    with pytest.raises(SourceError) as caught:
        reader.read(1)
    assert caught.value.kind == "connect"
    reader.open()
    assert ids(reader.read(3)) == [2, 3, 4]
    now = reader.failover.known().identity
    found = reader.failover.reconciliation()
    assert (found.previous, found.current, found.outcome, found.deltas) == (before, now, "resumed", ())
    assert before != now
    assert f"server identity changed from {before} to {now}" in caplog.text
    assert reader.metrics.source_identity_changes.labels("p", f"test-{NAME}")._value.get() == 1
    reader.open().read_nothing()
    new.execute("insert into t values (5, 'e')")
    assert ids(reader.open().read(1)) == [5]
    assert caplog.text.count("server identity changed") == 1


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_server_without_our_transactions_is_a_lost_position_and_never_a_new_start(private_mysql, reader_of, name):
    old, new = (Database(private_mysql(name=name), NAME) for _ in range(2))
    for database in (old, new):
        Database(database.server, "information_schema").execute(*T)
    reader = reader_of(old)
    old.execute("insert into t values (1, 'a')")
    reader.read(1)
    reader.close()
    known = reader.failover.known()
    for _ in range(2):
        with pytest.raises(PositionLostError, match=r"position lost after failover: .*\. Re-snapshot required\."):
            moved(reader, new).open()
    found = reader.failover.reconciliation()
    assert (found.outcome, found.position) == ("position_lost", reader.position.view())
    assert "position lost after failover" in found.reason
    assert reader.failover.known() == known
    old.execute("insert into t values (2, 'b')")
    assert ids(moved(reader, old).open().read(1)) == [2]


def moved(reader, database, **config):
    """The reader with a DSN that leads to another server."""
    settings = reader._spec.config
    changed = settings.model_copy(update={"dsn": type(settings.dsn)(database.url()), **config})
    reader._spec = reader._spec.model_copy(update={"config": changed})
    return reader


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_transactions_that_the_new_server_purged_unread_are_a_lost_position(pair, reader_of, name):
    old, new, catch_up, _ = pair(name=name)
    reader = reader_of(old)
    reader.close()
    old.execute("insert into t values (1, 'a')")
    catch_up()
    if name == "mariadb":
        new.execute("set global slave_connections_needed_for_purge = 0")
    new.execute("flush binary logs", "flush binary logs")
    deadline = time.monotonic() + 60
    while len(logs := new.rows("show binary logs")) > 1:  # MariaDB keeps them for its next checkpoint
        assert time.monotonic() < deadline
        new.execute(f"purge binary logs to '{logs[-1][0]}'")
    with pytest.raises(PositionLostError, match="position lost after failover"):
        moved(reader, new).open().read(1)


def test_mariadb_domain_that_the_server_never_heard_of_is_a_lost_position(mariadb_database, tmp_path):
    reader = mysql_reader(mariadb_database, tmp_path / "state").open()
    at = reader.position
    reader.close()
    strange = MysqlPosition(at.file, at.pos, f"{at.gtid_set},77-5-9", "mariadb", "5@elsewhere")
    with pytest.raises(PositionLostError, match="after failover: GTID 77-5-9 was never in"):
        reader.open(strange)


@pytest.mark.parametrize("has_gtids", [True, False])
@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_history_that_was_wiped_and_has_grown_again_is_a_lost_position(private_mysql, reader_of, name, has_gtids):
    database = Database(private_mysql(name=name), NAME)
    Database(database.server, "information_schema").execute(*T)
    database.execute("flush binary logs", "flush binary logs", "insert into t values (1, 'a')")
    reader = reader_of(database)
    reader.close()
    at = reader.position
    database.execute("reset binary logs and gtids" if name == "mysql" else "reset master")
    database.execute(*(f"insert into t values ({number}, 'b')" for number in range(2, 12)))
    with pytest.raises(PositionLostError, match=r"position lost: .*its history was reset"):
        reader.open(MysqlPosition(at.file, at.pos, at.gtid_set if has_gtids else "", at.flavor, at.server_uuid))


DRIFT = (
    "alter table t add extra int, drop column v, modify id bigint",
    "drop table gone",
)


def drifted(pair, reader_of, *statements, **config):
    """A reader before a replica whose tables were changed by hand."""
    old, new, catch_up, _ = pair()
    old.execute("create table gone (id int primary key)")
    reader = reader_of(old, **config)
    reader.close()
    old.execute("insert into t values (1, 'a')")
    catch_up()
    with new.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)
    return moved(reader, new), new


def test_drifted_tables_are_recorded_and_adapted_to(pair, reader_of, caplog):
    reader, new = drifted(pair, reader_of, *DRIFT)
    reader.open()
    new.execute("insert into t values (2, 7)")
    assert brief(reader.read(2)) == [
        ("c", None, {"id": 1, "v": "a"}), ("c", None, {"id": 2, "extra": 7}),
    ]  # fmt: skip
    found = reader.failover.reconciliation()
    assert found.outcome == "resumed"
    assert [(delta.kind, delta.table, delta.column) for delta in found.deltas] == [
        ("table_dropped", "shop.gone", ""),
        ("type_changed", "shop.t", "id"),
        ("column_dropped", "shop.t", "v"),
        ("column_added", "shop.t", "extra"),
    ]
    assert "tables of the new server differ" in caplog.text


def test_halt_stops_at_drift_until_the_operator_says_adapt(pair, reader_of):
    reader, new = drifted(pair, reader_of, *DRIFT, on_schema_drift="halt")
    for _ in range(2):
        with pytest.raises(SourceError, match=r"on_schema_drift is halt: table dropped: shop\.gone") as caught:
            reader.open()
        assert caught.value.kind == "incompatible"
        assert "adapt" in caught.value.hint
        assert reader.failover.reconciliation().outcome == "halted"
    reader.close()
    assert brief(moved(reader, new, on_schema_drift="adapt").open().read(1)) == [("c", None, {"id": 1, "v": "a"})]
    assert reader.failover.reconciliation().outcome == "resumed"


def test_halt_without_drift_goes_on(pair, reader_of):
    reader, _ = drifted(pair, reader_of, on_schema_drift="halt")
    assert ids(reader.open().read(1)) == [1]


def test_another_primary_key_stops_also_with_adapt(pair, reader_of):
    reader, _ = drifted(pair, reader_of, "alter table t drop primary key, add primary key (id, v)")
    with pytest.raises(SourceError, match=r"primary key changed: shop\.t"):
        reader.open()
    assert reader.failover.reconciliation().outcome == "halted"


def test_rows_without_metadata_have_their_own_definitions_at_the_new_server(pair, reader_of):
    old, new, catch_up, _ = pair("--binlog-row-metadata=MINIMAL")
    reader = reader_of(old)
    old.execute("flush binary logs", "flush binary logs", "flush binary logs")
    old.execute("alter table t add a int first", "insert into t values (10, 1, 'a')")
    assert brief(reader.read(1)) == [("c", None, {"a": 10, "id": 1, "v": "a"})]
    at = reader.position
    old.execute(
        "insert into t values (20, 2, 'b')", "alter table t drop a, add b int", "insert into t values (3, 'c', 30)"
    )
    expected = [("c", None, {"a": 20, "id": 2, "v": "b"}), ("c", None, {"id": 3, "v": "c", "b": 30})]
    assert brief(reader.read(2)) == expected
    reader.close()
    catch_up()
    for _ in range(2):  # as after a crash that lost the position of the new server
        assert brief(moved(reader, new).open(at).read(2)) == expected
    new.execute("alter table t drop b", "insert into t values (4, 'd')")
    assert brief(reader.open().read(1)) == [("c", None, {"id": 4, "v": "d"})]


def test_failover_in_mid_job(pair, tmp_path):
    old, new, catch_up, proxy = pair()
    old.execute("insert into t values " + ", ".join(f"({n}, 'old')" for n in range(1, 7)))
    source = mysql_source(old, url=old.url(port=proxy.port))
    steps = SteppedCopy(source_spec(source), tmp_path / "state", chunk_size=2)
    try:
        steps.request()
        steps.read_chunk()
        assert ids(steps.deliver_chunk()) == [1, 2]
        steps.read_chunk()  # of the old server, and it never leaves
        catch_up()
        old.server.kill()
        new.execute("update t set v = 'new' where id in (2, 3)")
        proxy.lead_to(new.server.port)
        steps.stream.close()
        steps.stream = steps.spec.build(steps.context)
        steps.position = steps.stream.open(steps.position)
        steps.snapshots.connected(steps.stream)
        copied = [(event.after["id"], event.after["v"]) for event in steps.finish()]
        assert copied == [(3, "new"), (4, "old"), (5, "old"), (6, "old")]
        assert [job.status for job in steps.state.ended] == ["completed"]
        assert brief(event for event in steps.events if event.op == "u") == [
            ("u", {"id": 2, "v": "old"}, {"id": 2, "v": "new"}), ("u", {"id": 3, "v": "old"}, {"id": 3, "v": "new"}),
        ]  # fmt: skip
    finally:
        steps.close()
