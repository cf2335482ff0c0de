"""A proxy in front of a database server that writes down what is said through it."""

import socket
import threading
from contextlib import contextmanager

from tests.corpus.conversation import (
    COM_DUMP,
    COM_DUMP_GTID,
    COM_QUERY,
    COM_QUIT,
    Question,
    is_parsed,
    message,
    read_message,
    read_packet,
)


@contextmanager
def listening(port, recording):
    """Gives the port on which the server of ``port`` can be reached for the length of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    follow = _follow_mysql if recording.scheme == "mysql" else _follow_postgres

    def converse(client):
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            try:
                follow(client, server, recording)
            except (OSError, EOFError):
                return

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _follow_mysql(client, server, recording):
    recording.greeting = _pass_packet(server, client)
    _pass_packet(client, server)
    while (said := _pass_packet(server, client)[4:])[0] != 0:
        if said[0] == 0xFF:
            return
        if said[:2] != b"\1\3":  # that alone is followed by another word of the server
            _pass_packet(client, server)
    while True:
        asked = _pass_packet(client, server)[4:]
        if asked[0] == COM_QUIT:
            return
        if asked[0] in (COM_DUMP, COM_DUMP_GTID):
            _follow_log(client, server, recording)
            return
        answer = _mysql_answer(server)
        client.sendall(answer)
        if asked[0] == COM_QUERY:
            recording.learn(asked[1:].decode(), answer)


def _mysql_answer(server):
    answer = first = read_packet(server)
    if first[4] in (0x00, 0xFF):
        return answer
    ends = 0
    while ends < 2:  # the columns, the rows
        one = read_packet(server)
        answer += one
        ends += one[4] == 0xFE and len(one) < 13
        if one[4] == 0xFF:
            break
    return answer


def _pass_packet(source, target):
    one = read_packet(source)
    target.sendall(one)
    return one


def _follow_postgres(client, server, recording):
    server.sendall(message(*read_message(client, has_type=False)))
    parameters = b""
    while True:
        kind, body = read_message(server)
        client.sendall(message(kind, body))
        if kind == b"S":
            parameters += message(kind, body)
        if kind == b"R" and body[3] in (3, 5, 10, 11):
            server.sendall(message(*read_message(client)))
        if kind in b"EZ":
            break
    recording.greeting = parameters
    statements = {}
    while True:
        question = Question(statements)
        raw = question.read(client)
        if raw is None:
            return
        server.sendall(raw)
        if question.asks_for_log:
            _follow_log(client, server, recording)
            return
        answer = b""
        while True:
            kind, body = read_message(server)
            client.sendall(message(kind, body))
            answer += b"" if is_parsed(kind) else message(kind, body)
            if kind == b"Z":
                break
        recording.learn(str(question), answer)


def _follow_log(client, server, recording):
    def upstream():
        while data := client.recv(65536):
            server.sendall(data)

    def guarded():
        try:
            upstream()
        except OSError:
            return

    threading.Thread(target=guarded, daemon=True).start()
    while data := server.recv(65536):
        if not recording.is_complete:
            recording.log += data
        client.sendall(data)
