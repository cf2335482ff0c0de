"""Lines of streamed answers as types; see :mod:`api.contract`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class TailNote(TypedDict):
    """Between the events, when some were left out; and the last line, which says why it ends."""

    shown: NotRequired[int]
    left_out: NotRequired[int]
    ended: NotRequired[Literal["limit", "seconds", "pipeline", "killed"]]


class Tail(TypedDict):
    """A line that is no event."""

    tail: TailNote


class Event(TypedDict):
    """A row change in the native envelope."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source: dict[str, Any]
    op: Literal["c", "u", "d", "r", "t"]
    ts_ms: int


class LogLine(TypedDict):
    """A line of a pipeline's log."""

    line: str
