"""The part of a recorded log that a client asks for, cut at the transactions as a server does it."""

import struct
import uuid

_GTID, _ANONYMOUS, _TAGGED, _MARIADB_GTID = 33, 34, 42, 162


class MysqlLog:
    """Packets of a binary log dump: a head, and transactions with the name and place of each."""

    def __init__(self, data):
        self._head = b""
        self._transactions = []  # gtid, offset of its beginning in the file, packets
        at = 0
        while at < len(data):
            size = 4 + int.from_bytes(data[at : at + 3], "little")
            self._add(data[at : at + size])
            at += size

    def _add(self, packet):
        _, kind, _, event_size, end = struct.unpack_from("<IBIII", packet, 5)
        body = packet[24:]
        if kind in (_GTID, _ANONYMOUS, _TAGGED, _MARIADB_GTID):
            name = None
            if kind == _GTID:
                name = str(uuid.UUID(bytes=body[1:17])), int.from_bytes(body[17:25], "little")
            elif kind == _MARIADB_GTID:
                name = "", int.from_bytes(body[:8], "little")
            self._transactions.append([name, end - event_size, packet])
        elif self._transactions:
            self._transactions[-1][2] += packet
        else:
            self._head += packet

    def first(self, share):
        """The log as long as only this share of its transactions was written."""
        return self._head + self._joined(self._transactions[: int(len(self._transactions) * share)])

    def behind_offset(self, offset):
        return self._head + self._joined(one for one in self._transactions if one[1] >= offset)

    def behind_gtids(self, encoded):
        """What a set in the form of COM_BINLOG_DUMP_GTID does not have."""
        seen, at = set(), 8
        for _ in range(int.from_bytes(encoded[:8], "little")):
            server, count = (
                str(uuid.UUID(bytes=encoded[at : at + 16])),
                int.from_bytes(encoded[at + 16 : at + 24], "little"),
            )
            at += 24
            for low, end in struct.iter_unpack("<QQ", encoded[at : at + 16 * count]):
                seen.update((server, number) for number in range(low, end))
            at += 16 * count
        return self._head + self._joined(one for one in self._transactions if one[0] not in seen)

    def behind_mariadb(self, state):
        """Behind ``domain-server-sequence``, of one domain."""
        newest = int(state.rpartition("-")[2])
        return self._head + self._joined(one for one in self._transactions if one[0][1] > newest)

    @staticmethod
    def _joined(transactions):
        return b"".join(packets for _, _, packets in transactions)


class PostgresLog:
    """Messages of a walsender: transactions with the LSN of the commit of each, and the relations that they told of."""

    def __init__(self, data):
        self._head = b""
        self._transactions = []  # commit LSN, messages of relations and types, all messages
        at = 0
        while at < len(data):
            size = 1 + struct.unpack_from(">I", data, at + 1)[0]
            message = data[at : at + size]
            inner = message[30:31] if message[:1] == b"d" and message[5:6] == b"w" else b""
            at += size
            if inner == b"B":
                self._transactions.append([struct.unpack_from(">Q", message, 31)[0], b"", b""])
            if not self._transactions:
                self._head += message
                continue
            self._transactions[-1][2] += message
            if inner in (b"R", b"Y"):
                self._transactions[-1][1] += message

    def first(self, share):
        """The log as long as only this share of its transactions was written."""
        return self._head + b"".join(one[2] for one in self._transactions[: int(len(self._transactions) * share)])

    def behind(self, lsn):
        """A session of its own: what it has to be told of relations comes in its first transaction."""
        told = b"".join(relations for commit, relations, _ in self._transactions if commit < lsn)
        rest = b"".join(messages for commit, _, messages in self._transactions if commit >= lsn)
        begin = 1 + struct.unpack_from(">I", rest, 1)[0] if rest else 0
        return self._head + rest[:begin] + told + rest[begin:]
