"""Every error DeltaForge raises. Imports nothing of ours, so anything may import it.

A class exists only where somebody handles it differently; everything else is a ``kind``. What the
engine does about a kind (retry, stop, ask the operator) is one table: :mod:`deltaforge.core.retry`.
"""

from __future__ import annotations

import traceback
from typing import Any


class DeltaForgeError(Exception):
    """Base of all our errors.

    Messages are lower case and say what was attempted, on what, and what was expected and got. They
    never hold row values, passwords or whole DSNs.

    Args:
        message: What went wrong.
        kind: The kind string of the contract (``connect``, ``auth``, ``checkpoint``, …).
        hint: What the reader can do about it, in one sentence.
        context: Plain values for log fields (file, position, table, …).
    """

    default_kind = "other"
    exit_code = 1

    def __init__(self, message: str, *, kind: str | None = None, hint: str = "", **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or self.default_kind
        self.hint = hint
        self.context = context

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SpecError(DeltaForgeError):
    """The document is wrong. ``path`` is where, e.g. ``spec.sinks[0].config.topic``."""

    default_kind = "spec"
    exit_code = 2

    def __init__(self, message: str, *, path: str = "", hint: str = "", **context: Any) -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint, **context)
        self.path = path


class MissingDependencyError(SpecError):
    """A client library is not installed; the hint names the extra that brings it."""

    default_kind = "missing_dependency"
    exit_code = 3


class ControlError(DeltaForgeError):
    """An operation on a pipeline that its present state does not allow."""

    default_kind = "control"


class BusyError(ControlError):
    """The server has as much to do as it takes on; the same request may succeed later."""

    default_kind = "busy"


class PipelineNotFoundError(ControlError):
    """No pipeline of that name."""

    exit_code = 4

    def __init__(self, name: str) -> None:
        super().__init__(f"pipeline {name} not found")


class NotFoundError(ControlError):
    """Something of a pipeline that does not exist, such as a table; the message says what."""

    exit_code = 4


class PipelineAlreadyExistsError(ControlError):
    """A pipeline of that name exists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"pipeline {name} already exists")


class PipelineNameMismatchError(ControlError):
    """A patch tries to rename a pipeline."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"pipeline name mismatch: expected {expected}, got {found}")


class ProtocolError(DeltaForgeError):
    """Bytes break the format.

    Args:
        message: What was read and what was wrong with it.
        offset: Bytes from the start of the buffer that was being decoded.
    """

    default_kind = "protocol"

    def __init__(self, message: str, *, offset: int | None = None, hint: str = "", **context: Any) -> None:
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{message}{where}", hint=hint, **context)
        self.offset = offset


class TruncatedMessageError(ProtocolError):
    """Fewer bytes than the value needs."""


class UnknownMessageError(ProtocolError):
    """A message type that is not known and may carry rows. Never skipped."""


class ChecksumMismatchError(ProtocolError):
    """The CRC32 of a log event does not fit its bytes."""


class UnsupportedValueError(ProtocolError):
    """A value or type that is well formed but that we cannot represent."""


class SourceError(DeltaForgeError):
    """A source failed. Kinds: cancelled timeout connect auth permission not_found io checkpoint
    incompatible schema backpressure other (contract 04 section 5.3).
    """


class TableChangedError(SourceError):
    """A table that is being copied is not what it was when that was planned: it has to be planned again, or is gone."""

    default_kind = "table_changed"


class PositionLostError(SourceError):
    """The log before our position is gone. The pipeline fails; it never restarts "from now"."""

    default_kind = "checkpoint"


class SinkError(DeltaForgeError):
    """A sink failed. Kinds: connect auth io serialization backpressure routing fatal other."""


class RecordError(SinkError):
    """The fault of one event alone (serialization, routing, message too large).

    Attributes:
        index: The event's place in its batch.
        written_count: How many events at the beginning of the batch the sink has taken, as it has all batches
            before; the sink goes on as it is. None: everything since the last flush is in doubt.
        is_certain: Whether it is this event and no other; else it is only the most likely one, unless it was alone.
        batch: Where ``index`` counts, if that is not the batch that is being written.
    """

    default_kind = "serialization"

    def __init__(self, message: str, *, index: int, kind: str | None = None, hint: str = "", **context: Any) -> None:
        super().__init__(message, kind=kind, hint=hint, **context)
        self.index = index
        self.written_count: int | None = 0
        self.is_certain = True
        self.batch: object | None = None


class DeadLettersFullError(SinkError):
    """The dead letter queue is full and its policy is to wait."""

    default_kind = "backpressure"


class SchemaError(DeltaForgeError):
    """A row does not fit the table definition known for its position."""

    default_kind = "schema"


class CheckpointError(DeltaForgeError):
    """Saved positions cannot be read or written."""

    default_kind = "checkpoint"


class StorageError(DeltaForgeError):
    """The storage backend failed."""

    default_kind = "storage"


def unforeseen(error: BaseException) -> str:
    """What can be said of an exception that is not ours: its type, our line that it left last, and its notes, which
    say what was being read. Not its text, which may hold values of a row.
    """
    at = ""
    for frame in traceback.extract_tb(error.__traceback__):
        _, package, module = frame.filename.rpartition("deltaforge/")
        at = f" at {package}{module}:{frame.lineno}" if package else at
    notes = getattr(error, "__notes__", ())
    return "; ".join((f"{type(error).__name__}{at}", *notes, "the log has the traceback: report it"))
