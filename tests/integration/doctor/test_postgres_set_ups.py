"""Sources of PostgreSQL that are broken for real: the examination finds each of them."""

import re
import time
from contextlib import contextmanager

import pytest

from deltaforge.sources.postgres.client import ReplicationConnection
from tests.databases import drop_slots
from tests.pipelines import PipelineProcess, wait_for
from tests.set_ups import changed, expect, postgres_set_up


def statements(*texts):
    @contextmanager
    def run(case):
        case.database.execute(*(text.format(slot=case.config["slot"]) for text in texts))
        yield

    return run


@contextmanager
def no_replication_role(case):
    role = f"r_{case.database.name}"
    case.database.execute(f"create role {role} login password 'pass'")
    case.config["dsn"] = case.database.url(user=role, password="pass")
    try:
        yield
    finally:
        case.database.execute(f"drop role {role}")


@contextmanager
def slot_in_use(case):
    wire = ReplicationConnection(case.config["dsn"])
    try:
        wire.start(case.config["slot"], wire.create_slot(case.config["slot"]), "pub")
        yield
    finally:
        wire.close()


@contextmanager
def lost_slot(case):
    """WAL beyond what slots may hold back; then a checkpoint removes it."""
    slot = case.config["slot"]
    case.database.execute(f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    case.database.server.alter("set max_slot_wal_keep_size = '1MB'")

    def is_lost():
        case.database.execute(
            "insert into t values ((select count(*) from t), 1)", "select pg_switch_wal()", "checkpoint"
        )
        return case.database.rows(f"select wal_status from pg_replication_slots where slot_name = '{slot}'") == [
            ("lost",)
        ]

    try:
        wait_for(is_lost)
        yield
    finally:
        case.database.server.alter("set max_slot_wal_keep_size = '10GB'")


POSTGRES = {
    "no publication": (statements("drop publication pub"), "postgres.publication", "error", "does not exist"),
    "deletes that are not published": (
        statements("alter publication pub set (publish = 'insert, update')"), "postgres.operations", "warning", "delete",
    ),
    "a row filter": (
        statements("alter publication pub set table t where (id > 1)"), "postgres.rows", "warning", "row filter",
    ),
    "a list of columns": (statements("drop publication pub", "alter table t replica identity default",
        "create publication pub for table t (id)"), "postgres.rows", "warning", "some columns"),
    "old rows that are only keys": (
        statements("alter table t replica identity default"), "postgres.identity", "warning", "not FULL: `public.t`",
    ),
    "updates that the server refuses": (
        statements("create table n (a int)", "alter publication pub add table n"), "postgres.no_identity", "error", "public.n",
    ),
    "a table that is not published": (
        statements("create table more (id int primary key)"), "postgres.tables", "warning", "add table",
    ),
    "a slot of two-phase commits": (
        statements("select pg_create_logical_replication_slot('{slot}', 'pgoutput', false, true)"),
        "postgres.slot", "error", "two_phase",
    ),
    "a slot that was lost": (lost_slot, "postgres.slot", "error", "invalidated"),
    "a slot that is read": (slot_in_use, "postgres.reader", "error", "deltaforge of postgres at 127.0.0.1"),
    "a role without replication": (no_replication_role, "postgres.rights", "error", "may not read"),
    "a port of another server": (
        lambda case: changed(case, dsn=f"postgres://u:p@127.0.0.1:{case.other_port}/d"), "postgres.connect", "error",
        "is MySQL or MariaDB, not PostgreSQL",
    ),
    "no TLS where it is asked for": (
        lambda case: changed(case, dsn=case.config["dsn"] + "?sslmode=require"), "postgres.connect", "error", "SSL",
    ),
    "no such database": (
        lambda case: changed(case, dsn=case.database.server.url("nowhere")), "postgres.connect", "error", "does not exist",
    ),
}  # fmt: skip


@pytest.mark.parametrize("postgres_case", ["postgres_18"], indirect=True)
@pytest.mark.parametrize("name", POSTGRES)
def test_a_broken_source_of_postgres_is_found(postgres_case, name, mysql):
    break_it, check, level, text = POSTGRES[name]
    postgres_case.other_port = mysql.port
    if name == "a table that is not published":
        postgres_case.config["tables"] = ["public.t", "public.more"]
    with break_it(postgres_case):
        expect(postgres_case, check, level, text)


def test_a_clock_that_is_wrong_is_found(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as case:
        case.clock = {"clock": lambda: time.time() + 100}
        found = expect(case, "postgres.clock", "warning", " s behind ours")
        (what,) = [each.what for each in found if each.check == "postgres.clock"]
        assert 90 < int(re.search(r"(\d+) s behind", what)[1]) < 110


def test_a_saved_position_without_its_slot_is_found(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as case:
        pipeline = PipelineProcess(tmp_path, case.source, case.sinks).start()
        pipeline.stop()
        drop_slots(case.database)
        expect(case, "postgres.position", "error", "does not exist any more")


def test_a_server_that_is_not_made_for_replication_is_found(private_postgres, tmp_path):
    names = ("wal_level=replica", "max_replication_slots=1", "max_wal_senders=1", "wal_sender_timeout=0")
    server = private_postgres(*(part for name in names for part in ("-c", name)))
    with postgres_set_up(server, tmp_path) as case:
        case.database.execute("select pg_create_physical_replication_slot('other')")
        found = {(each.check, each.level.value) for each in case.found()}
        assert found == {
            ("postgres.wal_level", "error"),
            ("postgres.slots", "error"),
            ("postgres.keep_size", "warning"),
            ("postgres.sender_timeout", "warning"),
        }
