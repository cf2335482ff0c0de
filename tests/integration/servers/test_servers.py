"""The servers that all other tests stand on do what those tests expect of them."""

import socket
import uuid

import psycopg
import pytest
from confluent_kafka import Producer

from tests.fixtures.fix_kafka import MISSED_SOON


def test_each_mysql_server_writes_full_row_metadata_and_takes_any_text(any_mysql_database):
    any_mysql_database.execute("create table t (v text)", "insert into t values ('☃ 🚀')")
    variables = "show variables where variable_name in ('binlog_row_metadata', 'binlog_format')"
    assert any_mysql_database.rows("select v from t") == [("☃ 🚀",)]
    assert dict(any_mysql_database.rows(variables)) == {"binlog_row_metadata": "FULL", "binlog_format": "ROW"}


def test_each_postgres_database_goes_with_its_slots(any_postgres_database):
    any_postgres_database.execute("select pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    server = any_postgres_database.server
    server.drop(any_postgres_database.name)
    with server.connect() as connection:
        assert connection.execute("select count(*) from pg_replication_slots").fetchone() == (0,)


@pytest.mark.parametrize("name", ["mysql", "mariadb", "mariadb-10"])
def test_private_mysql_has_its_options_and_survives_a_kill(private_mysql, name):
    server = private_mysql("--binlog-row-metadata=MINIMAL", name=name)
    server.create("kept")
    server.kill()
    server.start()
    with server.connect("kept") as connection, connection.cursor() as cursor:
        cursor.execute("select @@binlog_row_metadata")
        assert cursor.fetchone() == ("MINIMAL",)


@pytest.mark.parametrize("version", [15, 18])
def test_private_postgres_has_its_options_and_survives_stop_and_kill(private_postgres, version):
    server = private_postgres("-c", "max_replication_slots=3", version=version)
    server.create("kept")
    server.stop()
    server.start()
    server.kill()
    server.start()
    with server.connect("kept") as connection:
        assert connection.execute("show max_replication_slots").fetchone() == ("3",)


def test_redis_answers(redis_server):
    with redis_server.connect() as client:
        assert client.ping() is True


def test_kafka_behind_the_proxy_is_reached_through_it_alone(kafka_behind_proxy):
    topic = f"proxy-{uuid.uuid4().hex}"
    producer = Producer(
        {"bootstrap.servers": kafka_behind_proxy.bootstrap, "message.timeout.ms": 120_000, "log_level": 0}
    )
    producer.produce(topic, b"before")
    assert producer.flush(20) == 0
    kafka_behind_proxy.proxy.down()
    producer.produce(topic, b"after")
    assert producer.flush(1) == 1
    assert [message.value() for message in kafka_behind_proxy.broker.messages(topic)] == [b"before"]
    kafka_behind_proxy.proxy.up()
    assert producer.flush(60) == 0
    assert [message.value() for message in kafka_behind_proxy.broker.messages(topic)] == [b"before", b"after"]


def test_private_kafka_keeps_its_messages_over_a_kill(private_kafka):
    broker = private_kafka("num.partitions=3", *MISSED_SOON)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "log_level": 0})
    for number in range(9):
        producer.produce("kept", str(number), partition=number % 3)
    assert producer.flush(20) == 0
    broker.kill()
    broker.start()
    assert sorted(int(message.value()) for message in broker.messages("kept")) == list(range(9))


def test_proxy_cuts_after_the_given_number_of_bytes(fault_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = fault_proxy(listener.getsockname()[1])
        proxy.cut_after(5)
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            server, _ = listener.accept()
            with server:
                server.sendall(b"1234567890")
                assert client.recv(5, socket.MSG_WAITALL) == b"12345"
                with pytest.raises(ConnectionResetError):
                    client.recv(5)


def test_proxy_stall_holds_the_bytes_back_until_the_end(fault_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = fault_proxy(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            server, _ = listener.accept()
            with server:
                proxy.stall()
                server.sendall(b"late")
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(4)
                proxy.unstall()
                client.settimeout(10)
                assert client.recv(4, socket.MSG_WAITALL) == b"late"


def test_proxy_down_breaks_a_database_connection_and_up_lets_the_next_in(postgres, fault_proxy):
    proxy = fault_proxy(postgres.port)
    with psycopg.connect(postgres.url(port=proxy.port)) as connection:
        proxy.down()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.url(port=proxy.port))
    proxy.up()
    with psycopg.connect(postgres.url(port=proxy.port)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
