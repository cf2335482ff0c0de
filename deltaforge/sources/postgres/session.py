"""What a connection to PostgreSQL is made of: its connection string, and the settings of its session.

Values reach us as text, and settings decide how the server prints them. They may come from the role, the database,
the connection string, and libpq's environment variables, of which ``PGDATESTYLE`` and ``PGTZ`` beat every option of
the startup packet. So each session, also that of the log, is told all of them once more with ``SET``, which nothing
that is inherited can beat.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deltaforge.core.errors import SourceError

SETTINGS = {
    # How values are printed: what deltaforge.protocol.postgres.values reads.
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # How names are printed, in values (regclass) and in definitions.
    "search_path": "public",
    "quote_all_identifiers": "off",
    # What ends a session that waits, which ours may do for as long as it likes.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A warning in the stream may say that changes are left out.
    "client_min_messages": "warning",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
TRANSACTION_TIMEOUT_VERSION = 170000

NO_CONVERSION = "SQL_ASCII"
"""The encoding of a database whose texts are bytes of any encoding."""

_DEFAULTS = {
    "connect_timeout": "30",
    "application_name": "deltaforge",
    # A server that is gone without a word is noticed, also while it is asked something.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_OF_A_HOST = {"hostaddr": "", "port": "5432"}
_LOGIN = {"user": "postgres", "dbname": "postgres"}
_OURS = ("replication", "client_encoding")
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir")
_SYSTEM = "system"
"""The value of ``sslrootcert`` that means: whatever this machine trusts."""
_NETWORK_WORDS = """
    user password channel_binding connect_timeout dbname host hostaddr port client_encoding options application_name
    fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout sslmode
    sslnegotiation sslcompression sslcertmode sslpassword sslsni require_auth min_protocol_version
    max_protocol_version ssl_min_protocol_version ssl_max_protocol_version gssencmode replication
    target_session_attrs load_balance_hosts scram_client_key scram_server_key
"""
_OF_THE_NETWORK = frozenset(_NETWORK_WORDS.split())
"""What a DSN may say without naming anything of this machine: no file, socket, library, or Kerberos ticket."""
_HINT = (
    "write postgres://user:password@host:port/database or key=value pairs as libpq reads them; in a URL, : / ? # @ %"
    " and blanks of user and password are percent-encoded (%40 for @)"
)


def conninfo_of(dsn: str, **ours: str) -> str:
    """The DSN with our defaults, as libpq reads it.

    What the DSN leaves open is taken from its ``service``, if it names one; host, password, TLS and Kerberos then from
    libpq's variables. No variable leads a DSN that names a host elsewhere, or gives a session an option.

    Raises:
        SourceError: Not a connection string. The message holds nothing of it.
    """
    given = _given(dsn)
    for name in _OURS:
        given.pop(name, None)
    defaults = {**_DEFAULTS, "options": ""}
    if "service" not in given:
        defaults |= _LOGIN
        if "host" in given or "hostaddr" in given:
            defaults |= _OF_A_HOST
    return make_conninfo(**{**defaults, **given, "client_encoding": "UTF8", **ours})


def addresses_of(dsn: str) -> list[tuple[str, int]]:
    """The hosts and ports that a DSN names; none for a socket of this machine, or what a service or variable says."""
    given = _given(dsn)
    hosts = [host for host in given.get("host", given.get("hostaddr", "")).split(",") if host and host[0] not in "/@"]
    ports = [int(port or _OF_A_HOST["port"]) for port in given.get("port", "").split(",")]
    return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False))


def _given(dsn: str) -> dict[str, str]:
    """The parts of a DSN. An unquoted character of a password makes host, port and database out of it: that is found,
    so that no part of the password gets into an error of the network or the server.
    """
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:
        given = {"port": "none"}
    is_torn = "://" in dsn and "user" not in given and "@" in given.get("dbname", "")
    if is_torn or not all(port.isdecimal() for port in given.get("port", "0").split(",") if port):
        raise SourceError("the PostgreSQL DSN cannot be read", kind="incompatible", hint=_HINT)
    return given


def local_parts(dsn: str) -> Iterator[tuple[str, str, Literal["read", "other"]]]:
    """What a DSN names of this machine: parameter, value, and whether it is a file that is read. Nothing of one that
    cannot be read: it is refused before anybody connects with it.
    """
    try:
        given = _given(dsn)
    except SourceError:
        return
    for name, value in given.items():
        if name in _FILES:
            if value and value != _SYSTEM:
                yield name, value, "read"
        elif name not in _OF_THE_NETWORK:
            yield name, value, "other"
    hosts = given.get("host", "").split(",")
    if not given.get("hostaddr") and any(not host or host.startswith(("/", "@")) for host in hosts):
        yield "host", given.get("host", ""), "other"  # libpq takes the socket of this machine


def set_session(connection: pq.abc.PGconn, *, lock_timeout: str = "0") -> str:
    """Give a session our settings, whatever it has inherited; what the server said against it, else nothing.

    Texts come in UTF-8, except from a database that does not know the encoding of its texts: there as they are stored.
    """
    settings = {**SETTINGS, "lock_timeout": lock_timeout}
    if connection.server_version >= TRANSACTION_TIMEOUT_VERSION:
        settings["transaction_timeout"] = "0"
    if is_unconverted(connection):
        settings["client_encoding"] = NO_CONVERSION
    commands = (f"set {name} = {_value(name, value)}" for name, value in settings.items())
    result = connection.exec_("; ".join(commands).encode())
    return "" if result.status == pq.ExecStatus.COMMAND_OK else result.get_error_message()


def is_unconverted(connection: pq.abc.PGconn) -> bool:
    """Whether the texts of the database are in no encoding that is known."""
    return connection.parameter_status(b"server_encoding") == NO_CONVERSION.encode()


def _value(name: str, value: str) -> str:
    return value if name == "search_path" else f"'{value}'"
