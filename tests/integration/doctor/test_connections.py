"""Servers that have too few connections for a pipeline: the examination says which limit it is."""

from contextlib import contextmanager

import pytest

from deltaforge.doctor import Level, examine
from tests.set_ups import mysql_set_up, postgres_set_up

MANY = 100_000


def said(case, check):
    """What is said of one check, by level."""
    findings = examine(case.document(), case.folder / "state", patience_secs=20)
    assert all(each.remedy for each in findings if each.level is not Level.OK)
    return [(each.level.value, each.what) for each in findings if each.check == check]


@contextmanager
def postgres_role(case, limit):
    role = f"r_{case.database.name}"
    case.database.execute(
        f"create role {role} login replication password 'pass' connection limit {limit}",
        f"grant select on all tables in schema public to {role}",
        f"alter database {case.database.name} connection limit 60",
    )
    case.config["dsn"] = case.database.url(user=role, password="pass")
    try:
        yield role
    finally:
        case.database.execute(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize("server", ["postgres_15", "postgres_18"])
def test_each_limit_of_postgres_that_a_copy_meets_is_named(server, request, tmp_path):
    with postgres_set_up(request.getfixturevalue(server), tmp_path) as case, postgres_role(case, 5) as role:
        most, reserved = (
            int(case.database.rows(f"show {name}_connections")[0][0]) for name in ("max", "superuser_reserved")
        )
        assert [level for level, _ in said(case, "postgres.connections")] == ["ok"]
        case.config["snapshot"] = {"mode": "initial", "max_parallel_tables": 4}
        ((level, of_role),) = said(case, "postgres.connections")
        assert level == "warning"
        assert of_role.startswith(
            f"up to 6 connections are opened, and the connection limit of role {role}, 5, leaves "
        )
        case.config["snapshot"]["max_parallel_tables"] = MANY
        of_all, of_role, of_database = (what for _, what in said(case, "postgres.connections"))
        assert f"max_connections = {most} ({reserved} of them reserved) leaves " in of_all
        assert f"the connection limit of role {role}, 5, leaves " in of_role
        assert f"the connection limit of database {case.database.name}, 60, leaves " in of_database


def test_shards_on_one_server_share_what_it_has(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as case:
        case.config["snapshot"] = {"mode": "initial", "max_parallel_tables": 3}
        case.config["shards"] = [{"id": f"s{n}", "slot": f"{case.config['slot']}_{n}"} for n in range(2)]
        assert [what.partition(",")[0] for _, what in said(case, "postgres.connections")] == [
            "up to 10 connections are opened"
        ] * 2
        ((senders,),) = case.database.rows("show max_wal_senders")
        count = int(senders) + 1
        case.config["snapshot"] = None
        case.config["shards"] = [{"id": f"s{n}", "slot": f"{case.config['slot']}_{n}"} for n in range(count)]
        assert any(
            f"the pipeline has {count} shards on the server" in what for _, what in said(case, "postgres.senders")
        )


@pytest.mark.parametrize("server", ["mysql", "mariadb", "mariadb_10"])
def test_each_limit_of_mysql_that_a_copy_meets_is_named(server, request, tmp_path):
    server = request.getfixturevalue(server)
    with mysql_set_up(server, tmp_path) as case:
        user = f"u_{case.database.name}"[:32]
        case.database.execute(
            f"create user '{user}'@'%' identified by 'pass' with max_user_connections 7",
            f"grant select, replication slave, replication client on *.* to '{user}'@'%'",
        )
        try:
            case.config["dsn"] = server.url(user=user, password="pass")
            assert [level for level, _ in said(case, "mysql.connections")] == ["ok"]
            case.config["snapshot"] = {"mode": "initial", "max_parallel_tables": MANY}
            of_all, of_user = (what for _, what in said(case, "mysql.connections"))
            assert f"up to {MANY + 3} connections are opened, and max_connections = " in of_all
            assert f"max_user_connections = 7 of {user} leaves " in of_user
        finally:
            case.database.execute(f"drop user '{user}'@'%'")
