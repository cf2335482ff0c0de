"""What a PostgreSQL connection inherits, how its DSN may be written, and what its server may be set to."""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
import urllib.parse
from pathlib import Path

import pytest
from psycopg import pq, sql

from deltaforge.config.secret import is_redacted, redacted_dsn
from deltaforge.core.errors import SourceError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.postgres import start
from deltaforge.sources.postgres.client import ReplicationConnection, connect
from deltaforge.sources.reader import LogReader
from tests.reading import brief, postgres_reader, readers_of

PRINTED = (
    "create table v (id int primary key, at timestamp, tz timestamptz, d date, i interval, b bytea, f float8, r regclass)",
    'create table "Quoted" (id int)',
)
INSERTED = (
    "insert into v values (1, '2024-02-03 04:05:06', '2024-02-03 04:05:06+00', '2024-02-03', '1 day 02:03', '\\x00ff',"
    " 0.1::float8 + 0.2, 'v')"
)
EXPECTED = {
    "id": 1, "at": "2024-02-03T04:05:06", "tz": "2024-02-03T04:05:06Z", "d": "2024-02-03", "i": "1 day 02:03:00",
    "b": {"_base64": "AP8="}, "f": 0.30000000000000004, "r": "v",
}  # fmt: skip
FOREIGN_SETTINGS = {
    "datestyle": "German", "timezone": "Asia/Tokyo", "intervalstyle": "iso_8601", "bytea_output": "escape",
    "extra_float_digits": "-15", "search_path": "pg_temp", "quote_all_identifiers": "on", "statement_timeout": "10s",
    "client_min_messages": "error", "default_transaction_isolation": "serializable", "client_encoding": "LATIN1",
}  # fmt: skip


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute(
        *PRINTED, "create table t (id int primary key, v text)", "create publication pub for all tables"
    )
    return any_postgres_database


@pytest.fixture
def reader_of(tmp_path):
    with readers_of(postgres_reader, tmp_path) as make:
        yield make


@pytest.fixture
def role(any_postgres_database):
    """A role that may log in and replicate, gone with the test."""
    name = f"role_{any_postgres_database.name}"
    any_postgres_database.execute(f"create role {name} login replication password 'p'")
    yield name
    any_postgres_database.execute(f"drop owned by {name}", f"drop role {name}")


READING = """
    import sys
    from pathlib import Path
    from types import SimpleNamespace
    from tests.reading import postgres_reader, wire
    reader = postgres_reader(SimpleNamespace(name=sys.argv[2]), Path(sys.argv[3]), url=sys.argv[1], tables=["v"])
    print("open", flush=True)
    reader.open()
    print("opened", flush=True)
    sys.stdin.readline()
    print(repr(wire(reader.read(1)[0].after)))
"""


def environment_of_libpq(tmp_path):
    """Every variable that libpq knows, with a value that would change what is read or where it is read."""
    known = [default.envvar.decode() for default in pq.Conninfo.get_defaults() if default.envvar]
    service = tmp_path / "pg_service.conf"
    service.write_text("[elsewhere]\nhost=192.0.2.1\nport=1\nuser=nobody\ndbname=absent\noptions=-c datestyle=German\n")
    values = {
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in FOREIGN_SETTINGS.items()),
        "PGCLIENTENCODING": "LATIN1", "PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody",
        "PGDATABASE": "absent", "PGPASSWORD": "wrong", "PGPASSFILE": str(tmp_path / "absent"), "PGAPPNAME": "x",
        "PGSERVICE": "elsewhere", "PGCONNECT_TIMEOUT": "1", "PGSSLMODE": "prefer", "PGTARGETSESSIONATTRS": "any",
        "PGLOADBALANCEHOSTS": "random", "PGGSSENCMODE": "disable", "PGSSLCERT": str(tmp_path / "absent"),
        "PGSSLKEY": str(tmp_path / "absent"), "PGSSLROOTCERT": str(tmp_path / "absent"),
        "PGSSLCRL": str(tmp_path / "absent"), "PGSSLCRLDIR": str(tmp_path / "absent"), "PGSSLSNI": "0",
        "PGSSLCERTMODE": "allow", "PGSSLCOMPRESSION": "0", "PGSSLNEGOTIATION": "postgres", "PGCHANNELBINDING": "prefer",
        "PGREQUIREAUTH": "scram-sha-256", "PGREQUIREPEER": "nobody", "PGKRBSRVNAME": "x", "PGGSSLIB": "gssapi",
        "PGGSSDELEGATION": "0", "PGMINPROTOCOLVERSION": "3.0", "PGMAXPROTOCOLVERSION": "3.0",
        "PGSSLMINPROTOCOLVERSION": "TLSv1.2", "PGSSLMAXPROTOCOLVERSION": "TLSv1.3",
    }  # fmt: skip
    assert set(known) <= set(values), "libpq knows a variable that this test does not"
    session = {"PGDATESTYLE": "German", "PGTZ": "Asia/Tokyo", "PGGEQO": "off", "PGSYSCONFDIR": str(tmp_path)}
    return {**values, **session, "PGSERVICEFILE": str(service), "PGLOCALEDIR": str(tmp_path)}


def test_no_variable_of_libpq_changes_a_value_or_leads_elsewhere(database, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(READING), database.url(), database.name, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment_of_libpq(tmp_path), "PYTHONPATH": "."},
    )
    with child:
        assert [child.stdout.readline().strip() for _ in range(2)] == ["open", "opened"]
        database.execute(INSERTED)
        printed, _ = child.communicate("go\n", timeout=60)
    assert printed.strip() == repr(EXPECTED)


@pytest.mark.parametrize("place", ["role", "database", "options", "role in database"])
def test_no_inherited_setting_changes_a_value(database, role, reader_of, place):
    url = database.url(user=role, password="p")
    target = {"role": f"role {role}", "database": f"database {database.name}"}
    target["role in database"] = f"role {role} in database {database.name}"
    with database.connect() as writer:
        if place == "options":
            options = " ".join(f"-c {name}={value}" for name, value in FOREIGN_SETTINGS.items())
            url += f"?options={options.replace(' ', '%20').replace('=', '%3D')}"
        else:
            for name, value in FOREIGN_SETTINGS.items():
                writer.execute(sql.SQL(f"alter {target[place]} set {name} = {{}}").format(sql.Literal(value)))
        reader = reader_of(database, url=url, tables=["v", "Quoted"])
        writer.execute(INSERTED)
        writer.execute('insert into "Quoted" values (1)')
    with connect(url) as side:
        assert side.execute("show statement_timeout").fetchone() == ("0",)
    first, second = reader.read(2)
    assert brief([first]) == [("c", None, EXPECTED)]
    assert [column.type for column in first.schema.columns][-1] == "regclass"
    assert second.source.table == "Quoted"


ODD = "p@/ :?#%&'\\ü"


def url_quoted(text):
    return urllib.parse.quote(text, safe="")


def pair_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.fixture
def socket_folder():
    """A folder for a socket: its path is short, and the server, which is another user, may write there."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield folder


def test_every_form_of_a_dsn(private_postgres, socket_folder, tmp_path, reader_of, monkeypatch):
    folder = socket_folder
    server = private_postgres("-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=127.0.0.1,::1")
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)", "create publication pub for table t")
        with server.connect() as connection:
            connection.execute(sql.SQL("create role odd login replication password {}").format(sql.Literal(ODD)))
        login, pairs = f"odd:{url_quoted(ODD)}", f"user=odd password={pair_quoted(ODD)} dbname={database.name}"
        service = tmp_path / "services"
        service.write_text(f"[shop]\nhost=127.0.0.1\nport={server.port}\ndbname={database.name}\nuser=odd\n")
        monkeypatch.setenv("PGSERVICEFILE", str(service))
        forms = [
            f"postgres://{login}@127.0.0.1:{server.port}/{database.name}?client_encoding=utf8",
            f"postgresql://{login}@[::1]:{server.port}/{database.name}?replication=database",
            f"postgres://{login}@127.0.0.1:1,127.0.0.1:{server.port}/{database.name}?target_session_attrs=read-write",
            f"postgres://{login}@{url_quoted(folder)}:{server.port}/{database.name}",
            f"host=localhost port={server.port} {pairs} client_encoding=latin1 options='-c datestyle=German'",
            f"host={folder} port={server.port} {pairs}",
            f"hostaddr=127.0.0.1 port={server.port} {pairs} application_name='a b'",
            f"service=shop password={pair_quoted(ODD)}",
        ]
        for number, form in enumerate(forms):
            reader = reader_of(database, url=form, slot=f"s_{number}")
            database.execute(f"insert into t values ({number})")
            assert brief(reader.read(1)) == [("c", None, {"id": number})], form
            reader.close()
            assert ODD not in redacted_dsn(form)
            assert url_quoted(ODD) not in redacted_dsn(form)
            assert is_redacted(redacted_dsn(form))


@pytest.mark.parametrize(
    "dsn",
    [
        "postgres://u:se/cr3t@h/db", "postgres://u:se cr3t@h/db", "postgres://u:secr3t%zz@h/db",
        "host=h password='secr3t", "host=h password=se cr3t", "postgres://u:secr3t@h:port/db", "postgres://u:secr3t@h/db?ssl=1",
    ],
)  # fmt: skip
def test_a_dsn_that_cannot_be_read_is_explained_without_its_secret(postgres_database, reader_of, dsn):
    with pytest.raises(SourceError) as caught:
        reader_of(postgres_database, url=dsn)
    assert retry_of(caught.value) is Retry.OPERATOR
    assert "percent-encoded" in caught.value.hint
    told = "".join(traceback.format_exception(caught.value)) + redacted_dsn(dsn)
    assert "cr3t" not in told


def test_a_second_connection_that_leads_elsewhere_is_noticed(postgres_15, postgres_18, reader_of, monkeypatch):
    with postgres_15.fresh_database() as database, postgres_18.fresh_database() as other:
        for one in (database, other):
            one.execute("create publication pub for all tables")
        monkeypatch.setattr(start, "ReplicationConnection", lambda _: ReplicationConnection(other.url()))
        with pytest.raises(SourceError, match="different servers") as caught:
            reader_of(database)
        assert retry_of(caught.value) is Retry.BACKOFF


@pytest.mark.parametrize(
    ("lacks", "kind", "mends"),
    [
        ("noreplication", "permission", "alter role {} replication"),
        ("connect", "permission", "grant connect on database {} to {}"),
        ("nologin", "auth", "alter role"),
    ],
)
def test_missing_rights_end_the_retries_and_name_the_statement(database, role, reader_of, lacks, kind, mends):
    if lacks == "connect":
        database.execute(f"revoke connect on database {database.name} from public")
    else:
        database.execute(f"alter role {role} {lacks}")
    with pytest.raises(SourceError) as caught:
        reader_of(database, url=database.url(user=role, password="p"))
    assert (caught.value.kind, retry_of(caught.value)) == (kind, Retry.OPERATOR)
    assert mends.split(" {}", maxsplit=1)[0] in caught.value.hint.lower()


def test_members_of_the_replication_role_of_amazon_are_told_of_it(database, role, reader_of):
    database.execute(f"alter role {role} noreplication", "create role rds_replication")
    try:
        with pytest.raises(SourceError) as caught:
            reader_of(database, url=database.url(user=role, password="p"))
        assert f"grant rds_replication to {role}" in caught.value.hint
    finally:
        database.execute("drop role rds_replication")


def test_full_servers_are_waited_for(private_postgres, reader_of):
    server = private_postgres("-c", "max_replication_slots=1", "-c", "max_wal_senders=1")
    with server.fresh_database() as database:
        database.execute("create publication pub for all tables")
        first = reader_of(database)
        for slot, limit in (("other", "max_wal_senders"), (None, "max_replication_slots")):
            if slot is None:
                first.close()  # a server that ends waits for readers that do not answer
                server.stop()
                server.start("-c", "max_replication_slots=1", "-c", "max_wal_senders=2")
            with pytest.raises(SourceError) as caught:
                reader_of(database, slot="other")
            assert retry_of(caught.value) is Retry.BACKOFF
            assert limit in caught.value.hint


def log_reader(database, state_dir, **options):
    """The reader thread of a source, as a pipeline has it."""
    reader = postgres_reader(database, state_dir, **options)
    return LogReader("s", lambda: reader._spec.build(reader._context), PipelineMetrics("p"))


@pytest.mark.parametrize("holds", ["pause", "back-pressure"])
def test_a_source_that_waits_keeps_its_connection(database, role, tmp_path, holds):
    database.execute(
        f"alter role {role} set wal_sender_timeout = '1s'", f"alter role {role} set idle_session_timeout = '500ms'",
        f"alter role {role} set idle_in_transaction_session_timeout = '500ms'",
    )  # fmt: skip
    reader = log_reader(database, tmp_path / "state", url=database.url(user=role, password="p"), tables=["t"])
    reader.start(None)
    try:
        assert reader.get(20) is not None
        if holds == "pause":
            reader.pause()
        database.execute("insert into t select n, repeat('x', 500) from generate_series(1, 60000) n")
        pid = "select active_pid from pg_replication_slots where slot_name = %s"
        before = database.rows(pid, [f"slot_{database.name}"])
        time.sleep(3)  # three times what the server waits
        assert database.rows(pid, [f"slot_{database.name}"]) == before
        reader.resume()
        count = 0
        while count < 60000:
            batch = reader.get(20)
            count += batch.event_count
        assert reader.status().reconnects == 0
    finally:
        reader.close()
