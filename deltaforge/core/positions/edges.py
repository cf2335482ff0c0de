"""The ends of a log, by name."""

from __future__ import annotations

from enum import Enum


class LogEdge(Enum):
    """An end of what the server still has; the source makes a position of it when it connects."""

    EARLIEST = "earliest"
    LATEST = "latest"
