import pytest

from tests.set_ups import mysql_set_up, postgres_set_up


@pytest.fixture(scope="module", autouse=True)
def _bounded(request):
    """Servers with the two settings that a careful operator gives them."""
    postgres = [request.getfixturevalue(name) for name in ("postgres_15", "postgres_18")]
    server = request.getfixturevalue("redis_server")
    for each in postgres:
        each.alter("set max_slot_wal_keep_size = '10GB'")
    with server.connect() as client:
        client.config_set("appendonly", "yes")
        yield
        client.config_set("appendonly", "no")
    for each in postgres:
        each.alter("reset max_slot_wal_keep_size")


@pytest.fixture
def mysql_case(request, tmp_path):
    with mysql_set_up(request.getfixturevalue(request.param), tmp_path) as set_up:
        yield set_up


@pytest.fixture
def postgres_case(request, tmp_path):
    with postgres_set_up(request.getfixturevalue(request.param), tmp_path) as set_up:
        yield set_up


@pytest.fixture
def sink_case(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as set_up:
        yield set_up
