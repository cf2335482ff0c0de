"""The two protocols, as far as a conversation has to be cut into questions and answers."""

import struct

OK = b"\0\0\0\2\0\0\0"
COM_QUIT, COM_QUERY, COM_DUMP, COM_REGISTER, COM_DUMP_GTID = 0x01, 0x03, 0x12, 0x15, 0x1E


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_packet(sock):
    """One packet of MySQL, with its header."""
    header = read_exactly(sock, 4)
    return header + read_exactly(sock, int.from_bytes(header[:3], "little"))


def packet(sequence, payload):
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


def read_message(sock, *, has_type=True):
    """One message of PostgreSQL: its type, empty for the first of a client, and its body."""
    kind = read_exactly(sock, 1) if has_type else b""
    return kind, read_exactly(sock, struct.unpack(">I", read_exactly(sock, 4))[0] - 4)


def message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


def messages_of(data):
    """Type and whole bytes of each message."""
    at = 0
    while at < len(data):
        size = 1 + struct.unpack_from(">I", data, at + 1)[0]
        yield data[at : at + 1], data[at : at + size]
        at += size


class Question:
    """What a client of PostgreSQL asks, up to the message that wants an answer.

    ``statements``: of the connection, by name: psycopg prepares by itself what it asks often, which must make no
    difference here.
    """

    def __init__(self, statements):
        self._statements = statements
        self._query = ""
        self._values = None
        self.has_parse = False

    def read(self, sock):
        """Returns the bytes read, or None when the client takes its leave."""
        raw = b""
        while True:
            kind, body = read_message(sock)
            raw += message(kind, body)
            if kind == b"X":
                return None
            if kind == b"Q":
                self._query = body[:-1].decode()
            elif kind == b"P":
                name, text, _ = body.split(b"\0", 2)
                self._query = self._statements[name] = text.decode()
                self.has_parse = True
            elif kind == b"B":
                _, name, self._values = body.split(b"\0", 2)
                self._query = self._statements[name]
            if kind in b"QS":
                return raw

    @property
    def asks_for_log(self):
        return self._query.startswith("START_REPLICATION")

    def __str__(self):
        return self._query if self._values is None else f"{self._query} with {self._values.decode('latin1')}"


def is_parsed(kind):
    return kind == b"1"
