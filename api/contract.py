"""Bodies of requests and answers as types: what the OpenAPI document is made from. Contract 01.

They describe and do not restrict: an answer may have further keys. ``NotRequired`` keys are absent, never null.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Status = Literal["running", "paused", "stopped", "failed"]


class Error(TypedDict):
    """Every error: a code for programs, a message for people."""

    code: str
    message: str


class Healthy(TypedDict):
    """No pipeline has failed."""

    status: Literal["healthy"]
    pipelines: int
    degraded_pipelines: NotRequired[list[str]]
    unmatched_patterns: NotRequired[dict[str, dict[str, str]]]


class Unhealthy(TypedDict):
    """At least one pipeline has failed."""

    status: Literal["unhealthy"]
    failed_pipelines: list[str]
    reasons: NotRequired[dict[str, str]]
    degraded_pipelines: NotRequired[list[str]]
    unmatched_patterns: NotRequired[dict[str, dict[str, str]]]


class LogLevel(TypedDict):
    """A level filter, such as ``info,deltaforge.sinks=debug``."""

    level: str


class Valid(TypedDict):
    """The document is right."""

    valid: Literal[True]
    pipeline: str
    source_type: Literal["mysql", "postgres"]
    sink_count: int
    warnings: NotRequired[list[str]]


class Invalid(TypedDict):
    """The document is wrong; the error says where and why."""

    valid: Literal[False]
    error: str


class Checkpoint(TypedDict):
    """What is saved for one sink, of one lane if there are several. A position is ``file`` and ``pos`` (and
    ``gtid_set``), or ``lsn`` and ``tx_id``.
    """

    sink_id: str
    lane: NotRequired[str]
    position: dict[str, Any]
    age_seconds: float
    lag_bytes: NotRequired[int]


class Shard(TypedDict):
    """One log of a source with shards. ``failed``: it cannot be read any more, and the others go on."""

    id: str
    state: Literal["starting", "running", "paused", "reconnecting", "failed"]
    connected: bool
    position: dict[str, Any] | None
    log_end: str | None
    last_error: str | None
    reconnects: int
    unmatched_patterns: dict[str, str]
    events_read: int
    lag_seconds: float | None
    lag_bytes: NotRequired[int]


class Ops(TypedDict):
    """The operational state of one pipeline."""

    uptime_seconds: float | None
    dlq_entries: int
    sink_errors: dict[str, str]
    checkpoints: list[Checkpoint]
    lag_seconds: float | None
    lag_bytes: NotRequired[int]
    error: NotRequired[str]
    error_code: NotRequired[str]
    next_try_seconds: NotRequired[float]
    pending_reset: NotRequired[dict[str, Any]]
    held_event: NotRequired[dict[str, Any]]
    skipped_events: NotRequired[list[dict[str, Any]]]
    unmatched_patterns: NotRequired[dict[str, str]]
    shards: NotRequired[list[Shard]]
    python_rows: NotRequired[dict[str, int]]
    snapshots: NotRequired[list[dict[str, Any]]]
    degraded: NotRequired[dict[str, str]]


class PipeInfo(TypedDict):
    """A pipeline. ``spec`` is its document with defaults filled in and secrets as ``***``."""

    name: str
    status: Status
    spec: dict[str, Any]


class PipeDetail(PipeInfo):
    """A pipeline with its operational state."""

    ops: Ops


class Ready(TypedDict):
    """The state of every pipeline."""

    status: Literal["ready"]
    pipelines: list[PipeInfo]
    degraded: NotRequired[dict[str, dict[str, str]]]


class ResetRequest(TypedDict):
    """Where the next start begins: ``earliest``, ``latest``, or a position as checkpoints show it. ``snapshot``: copy
    all tables again, for that sink or for all. ``shard``: only that of the source, which a position needs.
    """

    to: Literal["earliest", "latest"] | dict[str, Any]
    shard: NotRequired[str]
    sink_id: NotRequired[str]
    snapshot: NotRequired[bool]


class ResetNoted(TypedDict):
    """The reset that waits for the next start."""

    pipeline: str
    status: Status
    reset: dict[str, Any]
    message: str


class SkipRequest(TypedDict):
    """The event to go past, by the position that the pipeline stands at, and why."""

    position: dict[str, Any]
    reason: str
    shard: NotRequired[str]


class Skips(TypedDict):
    """The event that holds the pipeline up, and those that were let pass."""

    held: dict[str, Any] | None
    skipped: list[dict[str, Any]]


class SkipNoted(TypedDict):
    """The event that the next start goes past."""

    pipeline: str
    skipped: dict[str, Any]
    message: str


class SchemaSummary(TypedDict):
    """A table of which a definition is registered. ``shards``: those that have the table, by its fingerprint there."""

    database: str
    table: str
    column_count: int
    primary_key: list[str]
    fingerprint: str
    registry_version: int
    shards: NotRequired[dict[str, list[str]]]


class Column(TypedDict):
    """A column of a registered definition."""

    name: str
    type: str
    nullable: bool
    default: str | None
    extra: NotRequired[str]


class SchemaDetail(TypedDict):
    """A registered definition."""

    database: str
    table: str
    columns: list[Column]
    primary_key: list[str]
    fingerprint: str
    registry_version: int
    shards: NotRequired[dict[str, list[str]]]


class SchemaVersionInfo(TypedDict):
    """One version of a definition."""

    version: int
    fingerprint: str
    column_count: int
    registered_at: str
    shard: NotRequired[str]


class TakeOver(TypedDict, total=False):
    """Whether the next start takes the definition from the catalog."""

    take_over: bool


class TakeOverNoted(TypedDict):
    """The definition that the next start takes from the catalog."""

    pipeline: str
    take_over: dict[str, str]
    message: str


class ReloadedTable(TypedDict):
    """What became of one table of a reload."""

    database: str
    table: str
    status: str
    changed: bool
    error: str | None
    shard: NotRequired[str]


class Reloaded(TypedDict):
    """What became of a reload."""

    pipeline: str
    tables_reloaded: int
    tables: list[ReloadedTable]
    elapsed_ms: int


class SensedSummary(TypedDict):
    """A sensed key: a table, or a JSON column as ``table:column``."""

    table: str
    fingerprint: str
    sequence: int
    event_count: int
    stabilized: bool
    first_seen: str | None
    last_seen: str | None


class SensedField(TypedDict):
    """A field of a sensed key."""

    name: str
    types: list[str]
    nullable: bool
    optional: bool
    array_element_types: NotRequired[list[str]]
    nested_field_count: NotRequired[int]


class SensedSchema(SensedSummary):
    """A sensed key with its fields."""

    fields: list[SensedField]


class Classifications(TypedDict):
    """Which keys of which objects are names, and which are data."""

    table: str
    paths: dict[str, dict[str, Any]]


class SensingCache(TypedDict):
    """The structure cache of one sensed key."""

    table: str
    cached_structures: int
    max_cache_size: int
    cache_hits: int
    cache_misses: int


class SensingStats(TypedDict):
    """The structure caches."""

    tables: list[SensingCache]
    total_cache_hits: int
    total_cache_misses: int
    hit_rate: float


class DriftColumn(TypedDict):
    """One kind of drift of one column."""

    column: str
    expected_type: str
    observed_types: list[str]
    mismatch_count: int
    examples: NotRequired[list[str]]


class Drift(TypedDict):
    """Rows of a table that broke its declaration."""

    table: str
    has_drift: bool
    columns: list[DriftColumn]
    events_analyzed: int
    events_with_drift: int


class DeadLetterMeta(TypedDict):
    """Which sink could not take the event, and why."""

    sink_id: str
    error_kind: str
    error_message: str
    attempts: int


class DeadLetter(TypedDict):
    """An event that failed alone."""

    seq: int
    timestamp: int
    pipeline: str
    stream: str
    event_id: str | None
    source_cursor: dict[str, Any] | None
    event: Any
    payload_truncated: bool
    meta: DeadLetterMeta


class Count(TypedDict):
    """How many entries there are."""

    count: int


class AckRequest(TypedDict):
    """The last entry to remove."""

    up_to_seq: int


class Acked(TypedDict):
    """How many entries were removed."""

    acked: int


class Purged(TypedDict):
    """How many entries were removed."""

    purged: int


class RetryRequest(TypedDict, total=False):
    """Which entries to deliver again; without a key the oldest one."""

    seqs: list[int]
    limit: int
    sink_id: str
    error_kind: str


class RetriedEntry(TypedDict):
    """What became of one entry."""

    seq: int
    status: Literal["delivered", "failed", "truncated"]
    error: NotRequired[str | None]


class Retried(TypedDict):
    """What became of a retry."""

    pipeline: str
    delivered: int
    failed: int
    entries: list[RetriedEntry]
