"""Servers that repeat a recorded conversation, so that a pipeline reads a log again without the database."""

import socket
import struct
import threading
from contextlib import contextmanager
from functools import partial

from tests.corpus.conversation import (
    COM_DUMP,
    COM_DUMP_GTID,
    COM_QUERY,
    COM_QUIT,
    OK,
    Question,
    message,
    messages_of,
    packet,
    read_message,
    read_packet,
)
from tests.corpus.log_parts import MysqlLog, PostgresLog


class ReplayServer:
    """Listens on ``port``.

    Args:
        recording: What it repeats.
        share: Of the transactions in the log that have been written so far.
        goes_on: Whether the client was here before, and gets what lies behind its place.

    Attributes:
        unknown: Questions that nobody asked when the recording was made.
    """

    def __init__(self, recording, *, share=1.0, goes_on=False):
        self._recording, self._goes_on = recording, goes_on
        self._parts = (MysqlLog if recording.scheme == "mysql" else PostgresLog)(recording.log)
        self._share = share
        self._answers = [recording.answers]
        if goes_on:  # the slot of PostgreSQL knows in the end that all was read
            self._answers.insert(0 if recording.scheme == "mysql" else 1, recording.later)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.unknown = []
        self._asked, self._lock = {}, threading.Lock()
        self._serve = _serve_mysql if recording.scheme == "mysql" else _serve_postgres
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def log(self, behind):
        """What it sends to a client; ``behind`` gives the part behind the client's place."""
        if self._goes_on:
            return behind(self._parts)
        return self._recording.log if self._share == 1 else self._parts.first(self._share)

    def answer(self, question):
        """What was answered to it the first, second, … time."""
        with self._lock:
            known = next((answers[question] for answers in self._answers if question in answers), None)
            known = known or _of_other_oids(self._recording.answers, question)
            if known is None:
                self.unknown.append(question)
                return None
            at = self._asked.get(question, 0)
            self._asked[question] = at + 1
            return known[min(at, len(known) - 1)]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with connection:
            try:
                self._serve(self, connection, self._recording.greeting)
            except (OSError, EOFError):
                return


@contextmanager
def replayed(recording, **options):
    server = ReplayServer(recording, **options)
    try:
        yield server
    finally:
        server.close()


def _serve_mysql(server, sock, greeting):
    sock.sendall(greeting)
    login = read_packet(sock)
    sock.sendall(packet(login[3] + 1, OK))  # whoever it is
    state = ""
    while True:
        asked = read_packet(sock)[4:]
        if asked[0] == COM_QUIT:
            return
        if asked[0] in (COM_DUMP, COM_DUMP_GTID):
            sock.sendall(server.log(partial(_behind, asked, state)))
            sock.recv(1)  # until the client leaves
            return
        question = asked[1:].decode() if asked[0] == COM_QUERY else ""
        if question.startswith("set @slave_connect_state"):
            state = question.split("'")[1]
        if not question or question.lower().startswith(("set ", "kill ")):
            sock.sendall(packet(1, OK))
        else:
            sock.sendall(server.answer(question) or packet(1, b"\xff\x00\x04#42000not recorded"))


def _behind(dump, mariadb_state, parts):
    if dump[0] == COM_DUMP_GTID:
        return parts.behind_gtids(dump[23:])  # behind flags, server id, no name, offset, and the length of the set
    if mariadb_state:
        return parts.behind_mariadb(mariadb_state)
    return parts.behind_offset(struct.unpack_from("<I", dump, 1)[0])


def _of_other_oids(answers, question):
    """Types by oid are asked for as they are met: rows of all of them answer any such question."""
    query, _, values = question.partition(" with ")
    if "::oid[]" not in query or not values:
        return None
    found = [each[0] for other, each in answers.items() if other.partition(" with ")[0] == query]
    rows = {raw: None for answer in found for kind, raw in messages_of(answer) if kind == b"D"}
    head = [raw for kind, raw in messages_of(found[0]) if kind in (b"2", b"T")]
    return [b"".join((*head, *rows, message(b"C", b"SELECT 1\0"), message(b"Z", b"I")))]


def _serve_postgres(server, sock, greeting):
    read_message(sock, has_type=False)
    ready = message(b"Z", b"I")
    sock.sendall(message(b"R", bytes(4)) + greeting + message(b"K", struct.pack(">II", 1, 1)) + ready)
    statements = {}
    while True:
        question = Question(statements)
        if question.read(sock) is None:
            return
        if question.asks_for_log:
            high, _, low = str(question).split(" LOGICAL ")[1].split()[0].partition("/")
            sock.sendall(server.log(lambda parts, lsn=(int(high, 16) << 32) | int(low, 16): parts.behind(lsn)))
            while True:
                read_message(sock)  # how far it is
        answer = server.answer(str(question))
        if answer is None:
            answer = message(b"E", b"SERROR\0C42601\0Mnot recorded\0\0") + ready
        elif question.has_parse:
            answer = message(b"1") + answer
        sock.sendall(answer)
