"""Connections to PostgreSQL: an ordinary one for the catalog, a replication one for the log."""

from __future__ import annotations

import fcntl
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import TupleRow

from deltaforge.config.answering import POSTGRES, other_servers_named
from deltaforge.config.unset import naming_unset
from deltaforge.core.errors import SourceError
from deltaforge.core.positions.postgres import text_from_lsn
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import CopyData, CopyReader
from deltaforge.protocol.postgres.messages import EPOCH_OFFSET_US, name_of
from deltaforge.sources.postgres.session import addresses_of, conninfo_of, is_unconverted, set_session

BURST_BYTES = 128 << 10
BURST_SECS = 0.0005
TRICKLE_SECS = 0.001
FAILED_COPY = -2
FAILOVER_SLOTS_VERSION = 170000
NO_PUBLICATION = "42704"

_TLS = re.compile(r"SSL|certificate|TLS", re.IGNORECASE)
_ENCODING_HINT = (
    "a text of the database is not valid in its encoding, or has no UTF-8 form: correct the row, then reset the"
    " checkpoint to a position behind it"
)
_STATES = {
    "28": ("auth", "check user and password, and pg_hba.conf"),
    "42501": ("permission", "grant the role of the DSN what the message names"),
    "3D": ("not_found", "create the database or correct the DSN"),
    "08": ("connect", ""),
    "53300": ("connect", "max_connections, max_wal_senders or a limit of the role is reached: free one or raise it"),
    "53400": ("connect", "all replication slots are in use: drop one, or raise max_replication_slots"),
    "53": ("connect", ""),
    "57": ("connect", ""),
    "55006": ("connect", "another process reads this slot: stop it, or use another slot"),
    "55P03": ("timeout", "another session holds a lock on a published table"),
    "42": ("schema", ""),
    "22021": ("incompatible", _ENCODING_HINT),
    "22P05": ("incompatible", _ENCODING_HINT),
    "22": ("incompatible", "the server cannot send a row as it is stored, or evaluate a row filter of the publication"),
    "0A": ("incompatible", "the server cannot do what is asked of it"),
}
# What is refused before a session begins comes without its SQLSTATE: the text, and what it is like.
_TEXTS = (
    (r"password authentication failed|no pg_hba\.conf entry|authentication failed|no password supplied", "28", ""),
    (r'role "(.*)" is not permitted to log in', "28", 'alter role "{}" login'),
    (r'role "(.*)" does not exist', "28", ""),
    (r'database "(.*)" does not exist', "3D", ""),
    (r'permission denied for database "(.*)"', "42501", 'grant connect on database "{}" to the role of the DSN'),
    (r"too many (?:clients|connections)|connection slots are reserved|exceeds .?max_wal_senders", "53300", ""),
    (r"conversion between \S+ and \S+ is not supported", "0A", "the database needs an encoding that converts to UTF-8"),
)
SERVER_START = "select pg_postmaster_start_time()::text"
LOCK_TIMEOUT = "2s"
"""How long the catalog is waited for: some of its functions want a lock on the table that they are asked about."""


def error_of(text: str, sqlstate: str | None, doing: str) -> SourceError:
    """Our error for what the server or libpq said."""
    state = sqlstate or ""
    for prefix in (state, state[:2]):
        if prefix and prefix in _STATES:
            kind, hint = _STATES[prefix]
            return SourceError(f"{doing}: {text.strip()}", kind=kind, hint=hint)
    for pattern, like, mend in _TEXTS:
        found = None if state else re.search(pattern, text)
        if found:
            kind, hint = _STATES[like]
            return SourceError(f"{doing}: {text.strip()}", kind=kind, hint=mend.format(*found.groups()) or hint)
    if _TLS.search(text) and "closed the connection" not in text and "SYSCALL" not in text:
        return SourceError(f"{doing}: {text.strip()}", kind="incompatible", hint="check sslmode and certificates")
    return SourceError(f"{doing}: {text.strip()}", kind="connect")


def is_left_out(notice: pq.abc.PGresult) -> bool:
    """Whether a message of the server says that it leaves out changes because the publication is not there.

    Source: ``pgoutput.c``, ``LoadPublications``, PostgreSQL 18; the text may be in any language.
    """
    function = notice.error_field(pq.DiagnosticField.SOURCE_FUNCTION)
    return function == b"LoadPublications"


def gap_error(publication: str) -> SourceError:
    """The error of a place in the WAL at which there was no publication."""
    return SourceError(
        f"changes were written while there was no publication {publication}: the server cannot send them any more",
        kind="incompatible",
        hint="create it if it is not there, reset the checkpoint to latest or to an LSN behind its creation, and copy"
        " the rows of the time between; on PostgreSQL 18 on_publication_gap: warn goes on without them",
    )


@contextmanager
def source_errors(doing: str) -> Iterator[None]:
    """Turns psycopg's errors into ours."""
    try:
        yield
    except psycopg.Error as exc:
        raise error_of(str(exc), exc.sqlstate, doing) from exc
    except OSError as exc:
        raise SourceError(f"{doing}: {exc}", kind="connect") from exc


def connect(dsn: str, *, secs: int | None = None) -> psycopg.Connection[TupleRow]:
    """An ordinary connection in autocommit mode. The caller closes it. ``secs``: instead of the DSN's timeout."""
    with naming_unset(dsn):
        patience = {} if secs is None else {"connect_timeout": str(secs)}
        conninfo, addresses = conninfo_of(dsn, **patience), addresses_of(dsn)
        where = ", ".join(f"{host}:{port}" for host, port in addresses)
        doing = f"cannot connect to PostgreSQL at {where}" if where else "cannot connect to PostgreSQL"
        named = other_servers_named(*addresses[0], POSTGRES, "DSN") if len(addresses) == 1 else nullcontext()
        with named, source_errors(doing):
            connection = psycopg.connect(conninfo, autocommit=True)
        refused = set_session(connection.pgconn, lock_timeout=LOCK_TIMEOUT)
        if refused:
            connection.close()
            raise error_of(refused, None, doing)
    if is_unconverted(connection.pgconn):
        for name in ("text", "name", "varchar", "bpchar"):
            connection.adapters.register_loader(name, UnconvertedText)
    return connection


class UnconvertedText(Loader):
    """A text of a database whose encoding is not known, in the form of the names in the log."""

    def load(self, data: Buffer) -> str:
        return name_of(bytes(data))


def libpq_path() -> str | None:
    """The libpq that psycopg's binary package brings along; None with another build of psycopg."""
    if pq.__impl__ != "binary":
        return None
    import psycopg_binary

    folder = Path(psycopg_binary.__file__).parent.with_name("psycopg_binary.libs")
    return next((str(path) for path in folder.glob("libpq-*.so*")), None)


class ReplicationConnection:
    """A walsender connection. Used by one thread.

    Attributes:
        has_left_out: The server has said that it leaves out changes; whoever reads it sets it back.

    The size of the receive buffer is left to the kernel. With a large one every small message of the walsender becomes
    a segment of its own, which doubles the server's CPU time; with the kernel's they gather while the window is closed.
    """

    def __init__(self, dsn: str) -> None:
        self._pg = pq.PGconn.connect(conninfo_of(dsn, replication="database").encode())
        is_open = self._pg.status == pq.ConnStatus.OK
        refused = set_session(self._pg) if is_open else self._pg.get_error_message()
        if refused:
            self._pg.finish()
            raise error_of(refused, None, "cannot open a replication connection")
        self._pg.notice_handler = self._noted
        self.has_left_out = False
        self._publication = ""
        self._poll = select.poll()
        self._reader: CopyReader | None = None
        self._end_state = 0
        library = libpq_path()
        if compiled is not None and library is not None:
            self._reader = compiled.CopyReader(library, self._pg.pgconn_ptr)  # type: ignore[attr-defined]  # of the binary build alone

    @property
    def reads_blocks(self) -> bool:
        """Whether :meth:`read_block` can be used."""
        return self._reader is not None

    def identify(self) -> tuple[str, int]:
        """The system identifier and the timeline."""
        row = self._row("IDENTIFY_SYSTEM")
        return row[0], int(row[1])

    def server_start(self) -> str:
        """When the server was started, in the form of the session."""
        return self._row(SERVER_START)[0]

    def timeline_history(self, timeline: int) -> str:
        """The history file of a timeline above 1."""
        return self._row(f"TIMELINE_HISTORY {timeline}")[1]

    def create_slot(self, slot: str, *, is_standby: bool = False) -> int:
        """Create a pgoutput slot and return the LSN from which it is consistent.

        On a primary that knows failover slots (17 and newer) it is one: standbys may keep a copy of it.
        """
        options = "NOEXPORT_SNAPSHOT"
        if self._pg.server_version >= FAILOVER_SLOTS_VERSION and not is_standby:
            options = "(SNAPSHOT 'nothing', FAILOVER)"
        row = self._row(f'CREATE_REPLICATION_SLOT "{slot}" LOGICAL pgoutput {options}')
        high, _, low = row[1].partition("/")
        return int(high, 16) << 32 | int(low, 16)

    def start(self, slot: str, lsn: int, publication: str) -> None:
        """Begin to stream from ``lsn``."""
        self._publication = publication
        names = '"' + publication.replace('"', '""') + '"'
        quoted = names.replace("'", "''")
        options = f"proto_version '1', publication_names '{quoted}', messages 'true'"
        result = self._pg.exec_(f'START_REPLICATION SLOT "{slot}" LOGICAL {text_from_lsn(lsn)} ({options})'.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise self._refused(result, f"cannot read replication slot {slot}")
        self._pg.nonblocking = 1
        self._poll.register(self._pg.socket, select.POLLIN)

    def read(self) -> bytes | None:
        """The next payload, or None when no whole one has arrived.

        Raises:
            SourceError: The stream ended or broke.
        """
        with source_errors("replication connection broke"):
            count, data = self._pg.get_copy_data(1)
            if count == 0 and self._poll.poll(0):  # who calls may not wait: heartbeats leave by themselves
                self._pg.consume_input()
                count, data = self._pg.get_copy_data(1)
        if count > 0:
            return bytes(data) if data is not None else b""
        if count == 0:
            return None
        raise self._end_of_stream()

    def read_block(self, max_bytes: int, begun: CopyData | None = None, index: int = 0) -> tuple[CopyData, bool]:
        """Payloads that have arrived, about ``max_bytes`` at most, as the kernel's ``CopyData``, and whether those
        are all. Before them come those of the block ``begun`` from ``index`` on.

        Raises:
            SourceError: The stream ended or broke, and nothing was left to read.
        """
        if self._reader is not None and self._end_state == 0:
            block, state = self._reader.read(max_bytes, begun, index)
            self._end_state = min(state, 0)
            if block.count or not self._end_state:
                return block, state == 0
        if self._end_state == FAILED_COPY:
            raise error_of(self._pg.get_error_message(), None, "replication connection broke")
        raise self._end_of_stream()

    def wait(self, timeout_secs: float) -> bool:
        """Wait for bytes. False when none came in time."""
        began = time.monotonic()
        if not self._poll.poll(timeout_secs * 1000):
            return False
        if not self.reads_blocks:
            with source_errors("replication connection broke"):
                self._pg.consume_input()
        elif time.monotonic() - began >= TRICKLE_SECS:
            self._wait_for_more()
        return True

    def _wait_for_more(self) -> None:
        """Let the small pieces of a trickle become a large one, but only while their number still grows: the walsender
        sends each message by itself, and taking in one after the other costs more than decoding them. Never on a
        backlog, which this would slow down: there nobody has to wait long for the next piece.
        """
        waiting = self._waiting_bytes()
        while waiting < BURST_BYTES:
            time.sleep(BURST_SECS)
            before, waiting = waiting, self._waiting_bytes()
            if waiting <= before:
                return

    def _waiting_bytes(self) -> int:
        answer = fcntl.ioctl(self._pg.socket, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(answer, sys.byteorder)

    def send_status(self, received: int, confirmed: int, *, wants_reply: bool) -> None:
        """Standby status update: what was received, and what the server may forget."""
        now = int(time.time() * 1_000_000) - EPOCH_OFFSET_US
        with source_errors("replication connection broke"):
            self._pg.put_copy_data(b"r" + struct.pack(">QQQqB", received, confirmed, confirmed, now, wants_reply))
            self._pg.flush()

    def close(self) -> None:
        """Disconnect. Never raises."""
        self._pg.finish()

    def _noted(self, notice: pq.abc.PGresult) -> None:
        self.has_left_out = self.has_left_out or is_left_out(notice)

    def _end_of_stream(self) -> SourceError:
        result = self._pg.get_result()
        if result is not None and result.status != pq.ExecStatus.COMMAND_OK:
            if result.error_field(pq.DiagnosticField.SQLSTATE) == NO_PUBLICATION.encode():
                return gap_error(self._publication)
            return self._refused(result, "the server ended the replication stream")
        return SourceError("the server ended the replication stream", kind="connect")

    def _row(self, command: str) -> list[str]:
        result = self._pg.exec_(command.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise self._refused(result, f"{command.split(' ', maxsplit=1)[0]} was refused")
        return [(result.get_value(0, n) or b"").decode(errors="replace") for n in range(result.nfields)]

    def _refused(self, result: pq.abc.PGresult, doing: str) -> SourceError:
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        return error_of(result.get_error_message(), state.decode() if state else None, doing)
