"""Bodies of requests and answers of snapshots as types; see :mod:`api.contract`."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

SnapshotStatus = Literal["requested", "running", "paused", "completed", "failed", "cancelled"]


class SnapshotAsked(TypedDict):
    """Which rows to copy, by patterns of captured tables and a condition in the SQL of the source; whom to give them
    to, how fast, and whether a truncate event goes first. Keys that are left out: all rows, all sinks, no bound, no.
    A source with shards needs ``shard``: whose tables.
    """

    tables: list[str]
    where: NotRequired[str | None]
    sinks: NotRequired[list[str] | None]
    max_rows_per_second: NotRequired[int | None]
    truncate_first: NotRequired[bool]
    shard: NotRequired[str | None]


class SnapshotTable(TypedDict):
    """How far a table is. `dropped_rows` were left out because the log had a newer version of them."""

    name: str
    status: Literal["waiting", "copying", "completed", "failed"]
    method: Literal["ctid", "keyset", "whole"] | None
    rows: int
    bytes: int
    chunks: int
    dropped_rows: int
    reread_rows: int
    estimated_rows: int | None
    fraction: float
    error: str | None


class Snapshot(TypedDict):
    """A job that copies tables. `requested`: no process has taken it so far, its tables are the `patterns`. `fraction`
    is about how much of it is done; rate and time left are of the last half minute.
    """

    id: str
    kind: Literal["initial", "new_table", "ad_hoc", "new_sink"]
    status: SnapshotStatus
    requested_at: str | None
    began_at: str | None
    ended_at: str | None
    where: str | None
    sinks: list[str] | None
    max_rows_per_second: int | None
    truncate_first: bool
    rows: int
    bytes: int
    fraction: float
    rows_per_second: float | None
    eta_seconds: float | None
    waiting_for: str | None
    waiting_seconds: float | None
    error: str | None
    tables: list[SnapshotTable]
    patterns: NotRequired[list[str]]
    shard: NotRequired[str]
