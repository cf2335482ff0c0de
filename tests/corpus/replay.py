"""Servers that repeat a recorded conversation, so that a pipeline reads a log again without the database."""

import socket
import struct
import threading
from contextlib import contextmanager

from tests.corpus.conversation import (
    COM_DUMP,
    COM_DUMP_GTID,
    COM_QUERY,
    COM_QUIT,
    OK,
    Question,
    message,
    packet,
    read_message,
    read_packet,
)


class ReplayServer:
    """Listens on ``port``.

    Attributes:
        unknown: Questions that nobody asked when the recording was made.
    """

    def __init__(self, recording):
        self._recording = recording
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.unknown = []
        self._asked, self._lock = {}, threading.Lock()
        self._serve = _serve_mysql if recording.scheme == "mysql" else _serve_postgres
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def answer(self, question):
        """What was answered to it the first, second, … time."""
        with self._lock:
            known = self._recording.answers.get(question)
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
                self._serve(self, self._recording, connection)
            except (OSError, EOFError):
                return


@contextmanager
def replayed(recording):
    server = ReplayServer(recording)
    try:
        yield server
    finally:
        server.close()


def _serve_mysql(server, recording, sock):
    sock.sendall(recording.greeting)
    login = read_packet(sock)
    sock.sendall(packet(login[3] + 1, OK))  # whoever it is
    while True:
        asked = read_packet(sock)[4:]
        if asked[0] == COM_QUIT:
            return
        if asked[0] in (COM_DUMP, COM_DUMP_GTID):
            sock.sendall(recording.log)
            sock.recv(1)  # until the client leaves
            return
        question = asked[1:].decode() if asked[0] == COM_QUERY else f"command {asked[0]:#x}"
        if question.lower().startswith(("set ", "kill ")) or asked[0] != COM_QUERY:
            sock.sendall(packet(1, OK))
            continue
        sock.sendall(server.answer(question) or packet(1, b"\xff\x00\x04#42000not recorded"))


def _serve_postgres(server, recording, sock):
    read_message(sock, has_type=False)
    ready = message(b"Z", b"I")
    sock.sendall(message(b"R", bytes(4)) + recording.greeting + message(b"K", struct.pack(">II", 1, 1)) + ready)
    statements = {}
    while True:
        question = Question(statements)
        if question.read(sock) is None:
            return
        if question.asks_for_log:
            sock.sendall(recording.log)
            while True:
                read_message(sock)  # how far it is
        answer = server.answer(str(question))
        if answer is None:
            answer = message(b"E", b"SERROR\0C42601\0Mnot recorded\0\0") + ready
        elif question.has_parse:
            answer = message(b"1") + answer
        sock.sendall(answer)
