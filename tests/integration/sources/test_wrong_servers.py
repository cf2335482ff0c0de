"""A connection string that leads to the wrong place says where it leads, what is there, and what is missing."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.redis import RedisSinkSpec
from deltaforge.sources.mysql.client import connect as connect_mysql
from deltaforge.sources.postgres.client import connect as connect_postgres
from deltaforge.testing.sink_contract import context


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def send_error(self, code, *_, **__):
        self.wfile.write(f"HTTP/1.1 {code} no\r\n\r\n".encode())


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("deltaforge.sources.mysql.client.GREETING_SECS", 0.3)
    monkeypatch.setattr("deltaforge.sources.mysql.client.CONNECT_TIMEOUT_SECS", 3)


@pytest.fixture
def _impatient(monkeypatch):
    """Where nothing is answered at all."""
    monkeypatch.setattr("deltaforge.config.answering.ANSWER_SECS", 0.3)


@pytest.fixture(scope="module")
def http_port():
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def ports(mysql, mariadb, postgres, redis_server, http_port):
    return {
        "mysql": mysql.port,
        "mariadb": mariadb.port,
        "postgres": postgres.port,
        "redis": redis_server.port,
        "http": http_port,
    }


def open_redis(uri):
    config = {"id": "r", "uri": uri, "stream": "s", "connect_timeout_secs": 2, "send_timeout_secs": 2}
    RedisSinkSpec.model_validate({"type": "redis", "config": config}).build(context()).open()


CLIENTS = {
    "mysql": (connect_mysql, "mysql://u:secret@{}:{}/db"),
    "postgres": (connect_postgres, "postgres://u:secret@{}:{}/db?connect_timeout=2"),
    "postgres-plain": (connect_postgres, "postgres://u:secret@{}:{}/db?sslmode=disable&connect_timeout=2"),
    "redis": (open_redis, "redis://u:secret@{}:{}/0"),
    "rediss": (open_redis, "rediss://u:secret@{}:{}/0"),
}
SAID = {
    "mysql": "MySQL or MariaDB",
    "mariadb": "MySQL or MariaDB",
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "http": "an HTTP server",
}


def refused(client, host, port):
    open_it, form = CLIENTS[client]
    with pytest.raises(DeltaForgeError) as caught:
        open_it(form.format(host, port))
    assert "secret" not in str(caught.value)
    return caught.value


WRONG = [
    ("mysql", "postgres"),
    ("mysql", "redis"),
    ("mysql", "http"),
    ("postgres", "mysql"),
    ("postgres", "mariadb"),
    ("postgres", "redis"),
    ("postgres", "http"),
    ("postgres-plain", "mysql"),
    ("redis", "mysql"),
    ("redis", "postgres"),
    ("redis", "http"),
    ("rediss", "redis"),
]


@pytest.mark.parametrize(("client", "found"), WRONG)
def test_a_server_of_another_kind_is_named(ports, client, found):
    error = refused(client, "127.0.0.1", ports[found])
    assert f"127.0.0.1:{ports[found]} is {SAID[found]}, not " in error.message
    assert error.hint
    assert retry_of(error) is Retry.OPERATOR


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refused_port_and_an_unknown_host_are_named(client):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(client, "127.0.0.1", port).message
    assert "no-such-host.invalid:1234" in refused(client, "no-such-host.invalid", 1234).message


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_host_that_says_nothing_is_named(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        open_it, form = CLIENTS[client]
        with pytest.raises(DeltaForgeError) as caught:
            open_it(form.format("127.0.0.1", port))
        assert f"127.0.0.1:{port}" in caught.value.message


DSNS = {
    "mysql": (connect_mysql, "mysql://root:${{DB_PASSWORD}}@127.0.0.1:{}/"),
    "postgres": (connect_postgres, "postgres://postgres:${{DB_PASSWORD}}@127.0.0.1:{}/postgres"),
    "redis": (open_redis, "redis://nobody:${{DB_PASSWORD}}@127.0.0.1:{}/0"),
}


@pytest.mark.parametrize("kind", DSNS)
def test_a_variable_that_is_not_set_is_named_by_the_error_that_comes_of_it(ports, kind):
    open_it, form = DSNS[kind]
    with pytest.raises(DeltaForgeError) as caught:
        open_it(form.format(ports[kind]))
    assert caught.value.kind == "auth"
    assert caught.value.hint.startswith("environment variable DB_PASSWORD is not set; ")


@pytest.mark.parametrize(
    ("open_it", "dsn"),
    [
        (connect_mysql, "mysql://u:p@${DB_HOST}:3306/"),
        (connect_postgres, "postgres://u:p@${DB_HOST}/db"),
        (connect_postgres, "postgres://u:p@localhost:${DB_HOST}/db"),
        (open_redis, "redis://${DB_HOST}:6379"),
        (open_redis, "redis://localhost:${DB_HOST}"),
    ],
)
def test_wherever_in_the_connection_string_it_stands(open_it, dsn):
    with pytest.raises(DeltaForgeError) as caught:
        open_it(dsn)
    assert "environment variable DB_HOST is not set" in caught.value.hint


def test_tls_that_is_asked_for_and_not_there_is_named(postgres, mariadb):
    with pytest.raises(DeltaForgeError) as caught:
        connect_postgres(postgres.url("postgres") + "?sslmode=require")
    assert (caught.value.kind, "sslmode" in caught.value.hint) == ("incompatible", True)
    with pytest.raises(DeltaForgeError) as caught:
        connect_mysql(mariadb.url() + "?ssl-mode=verify_ca")
    assert caught.value.kind == "incompatible"
    assert "ssl-" in caught.value.hint
