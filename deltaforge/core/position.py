"""Places in a source log from which reading can continue.

A position always stands at the end of a transaction: saving one never splits a transaction.
Positions are small, versioned (by their tag and the version of the state around them) and plain data.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from deltaforge.core.errors import CheckpointError
from deltaforge.core.lsn import lsn_from_text, text_from_lsn


class MysqlPosition(msgspec.Struct, frozen=True, tag_field="type", tag="mysql"):
    """Place in a MySQL or MariaDB binary log.

    ``pos`` is the offset in ``file`` just after the last transaction. ``gtid_set`` holds everything
    executed up to there (MySQL ``uuid[:tag]:1-5:7,…``; MariaDB ``domain-server-seq,…``), empty when
    the server has no GTIDs. ``server_uuid`` tells whether ``file``/``pos`` mean anything on the
    server we are connected to. In a position that an operator gave, ``flavor`` and ``server_uuid`` are
    empty: the source fills them in.
    """

    file: str
    pos: int
    gtid_set: str = ""
    flavor: str = "mysql"
    server_uuid: str = ""

    def view(self) -> dict[str, Any]:
        """The shape of contract 01: ``{"file", "pos"[, "gtid_set"]}``."""
        shape: dict[str, Any] = {"file": self.file, "pos": self.pos}
        if self.gtid_set:
            shape["gtid_set"] = self.gtid_set
        return shape


class PostgresPosition(msgspec.Struct, frozen=True, tag_field="type", tag="postgres"):
    """Place in a PostgreSQL WAL: ``lsn`` is the *end* of the last commit record.

    It means something on the server ``system_id`` alone, up to where another timeline branched off ``timeline``
    (0: not known). ``commit_ms`` is when the newest transaction before it was committed, as far as one was read, else
    when the reading began (0: not known): the time of messages that the log has none for.
    """

    lsn: int
    tx_id: int | None = None
    system_id: str = ""
    timeline: int = 0
    commit_ms: int = 0

    def view(self) -> dict[str, Any]:
        """The shape of contract 01: ``{"lsn": "X/Y", "tx_id"}``."""
        return {"lsn": text_from_lsn(self.lsn), "tx_id": self.tx_id}

    @classmethod
    def at(cls, text: str) -> PostgresPosition:
        """The position at an LSN written as ``X/Y``."""
        return cls(lsn_from_text(text))


Position = MysqlPosition | PostgresPosition


class SinkProgress(msgspec.Struct, frozen=True):
    """How far a sink is, also inside a transaction that was delivered in several batches.

    ``open_count`` is the number of events of the transaction ``open_tx`` behind ``position`` that are
    delivered already, before any filter of the sink. The log always gives them in the same order.
    ``open_tx`` is what the ids of its events have in common, empty where nothing is open.
    """

    position: Position
    open_count: int = 0
    open_tx: str = ""


class LogEdge(Enum):
    """An end of what the server still has; the source makes a position of it when it connects."""

    EARLIEST = "earliest"
    LATEST = "latest"


Start = Position | LogEdge
"""Where an operator wants reading to begin."""


def log_order(position: Position) -> tuple[int, int]:
    """Sorts positions of one server's log: by LSN, or by the number of the binlog file and the offset."""
    if isinstance(position, PostgresPosition):
        return position.lsn, 0
    digits = position.file.rpartition(".")[2]
    return (int(digits) if digits.isdigit() else 0), position.pos


def lies_before(position: Position, other: Position) -> bool | None:
    """Whether ``position`` lies before ``other``; None if they are not of one server's log, as after a failover."""
    return log_order(position) < log_order(other) if _is_one_log(position, other) else None


def bytes_between(position: Position, end: Position) -> int | None:
    """Bytes of log behind ``position`` up to ``end``; None if nobody knows: how long a binary log file that lies
    between them is was never told.
    """
    if not _is_one_log(position, end):
        return None
    if isinstance(position, PostgresPosition) and isinstance(end, PostgresPosition):
        return max(0, end.lsn - position.lsn)
    if isinstance(position, MysqlPosition) and isinstance(end, MysqlPosition) and position.file == end.file:
        return max(0, end.pos - position.pos)
    return None


def _is_one_log(position: Position, other: Position) -> bool:
    if isinstance(position, PostgresPosition) and isinstance(other, PostgresPosition):
        return position.system_id == other.system_id
    if isinstance(position, MysqlPosition) and isinstance(other, MysqlPosition):
        return bool(position.server_uuid) and position.server_uuid == other.server_uuid
    return False


_decoder: msgspec.json.Decoder[Position] = msgspec.json.Decoder(MysqlPosition | PostgresPosition)


def encode_position(position: Position) -> bytes:
    """JSON bytes of a position, to be saved."""
    return msgspec.json.encode(position)


def decode_position(data: bytes) -> Position:
    """A position from saved JSON bytes.

    Raises:
        CheckpointError: The bytes are not a position this version understands.
    """
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise CheckpointError(f"saved position cannot be read: {exc}") from exc
