"""What a source is to the runtime: settings that build a :class:`LogStream`.

A plug-in package knows this module, :mod:`.reader` and :mod:`.batching`, and no other source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.config.secret import Dsn
from deltaforge.core.batch import Batch
from deltaforge.core.event import Asked
from deltaforge.core.lanes import ONE_LOG, source_name
from deltaforge.core.positions import Position, Start
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.sources.loader import TableReload
from deltaforge.sources.python_rows import CountPythonRows, uncounted


class SnapshotConfig(StrictModel):
    """The initial copy of the tables."""

    mode: Literal["initial", "always", "never"] = Field("initial", description="When to copy existing rows.")
    max_parallel_tables: int = Field(8, ge=1, description="Tables copied at the same time.")
    chunk_size: int = Field(10_000, ge=1, description="Rows per read.")
    intra_table_parallel: bool = Field(False, description="Copy one big table in several chunks at a time.")
    max_parallel_chunks: int = Field(4, ge=1, description="Chunks of one table at the same time.")
    max_rows_per_second: int | None = Field(None, ge=1, description="Bound for all tables together; absent: none.")

    @property
    def most_workers(self) -> int:
        """Connections that read tables at the same time, however many tables there are."""
        most, chunks = self.max_parallel_tables, self.max_parallel_chunks
        return max(most, chunks) if self.intra_table_parallel else most


OnSchemaDrift = Literal["adapt", "halt"]


class ShardConfig(StrictModel):
    """One shard of a source: its settings take the place of those above. What is not set here is as above."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Which shard: part of keys, files, metrics and `source.name`. 1 to 64 letters, digits, `-_.`.",
    )
    dsn: Dsn | None = Field(None, description="Connection string of this shard.")
    tables: list[TablePattern] | None = Field(None, description="Table patterns of this shard.")
    snapshot: SnapshotConfig | None = Field(None, description="The initial copy of this shard, as a whole.")
    on_schema_drift: OnSchemaDrift | None = Field(None, description="As above, for this shard.")
    heartbeat_interval_ms: int | None = Field(None, ge=0, description="As above, for this shard.")

    @model_serializer(mode="wrap")
    def _what_is_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class SourceConfig(StrictModel):
    """Settings that every source has.

    With shards, what each of them sets need not be set here; it then reads as that of the first one, is not among
    ``model_fields_set``, and is not shown.
    """

    id: str = Field(min_length=1, description="Key of the saved position; unique across pipelines.")
    dsn: Dsn = Field(description="Connection string; its password is never shown.")
    tables: list[TablePattern] = Field(description="Table patterns; empty means all user tables.")
    snapshot: SnapshotConfig | None = Field(None, description="Absent: no initial copy.")
    on_schema_drift: OnSchemaDrift = Field(
        "adapt", description="After a failover to a server whose tables differ: go on with a warning, or stop."
    )
    heartbeat_interval_ms: int = Field(
        0,
        ge=0,
        description="How often sinks whose envelope has heartbeats get one, also from an idle log; 0: never.",
    )
    shards: Sequence[ShardConfig] | None = Field(None, min_length=1, description="Several logs, read as one source.")
    shard_failure: Literal["halt", "go_on"] = Field(
        "halt", description="When a shard cannot be read any more: stop the pipeline, or go on with the others."
    )

    def of_shard(self, shard_id: str) -> Self:
        """The settings of one shard, as those of a source of its own. Its id is that of the source, ``@``, its own."""
        shard = next(shard for shard in self.shards or () if shard.id == shard_id)
        own = {name: getattr(shard, name) for name in shard.model_fields_set}
        return self.model_copy(update={**own, "id": f"{self.id}@{shard_id}", "shards": None})

    def reads_alone(self) -> Iterable[str]:
        """What only one reader at a time may have of its server, in words; not of a source with shards."""
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _with_shards(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        shards = data.get("shards") if isinstance(data, dict) else None
        if not isinstance(shards, list):
            return handler(data)
        needed = [name for name, field in cls.model_fields.items() if field.is_required() and name not in {"id", *data}]
        of_shards = {name: [shard.get(name) for shard in shards if isinstance(shard, dict)] for name in needed}
        lent = {name: found[0] for name, values in of_shards.items() if (found := [v for v in values if v is not None])}
        try:
            config = handler({**data, **lent})
        except ValidationError as error:
            raise _without(error, lent) from None
        config.model_fields_set.difference_update(lent)
        _check_whole(config, lent)
        return config

    @model_serializer(mode="wrap")
    def _what_is_above(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        lent = {name for name, field in fields.items() if field.is_required() and name not in self.model_fields_set}
        return {name: value for name, value in data.items() if name not in lent}


def _check_whole(config: SourceConfig, needed: Iterable[str]) -> None:
    """Refuse a shard that has no value for a setting which has none above either."""
    missing = [
        InitErrorDetails(type="missing", loc=("shards", number, name), input=None)
        for number, shard in enumerate(config.shards or ())
        for name in needed
        if name not in shard.model_fields_set
    ]
    if missing:
        raise ValidationError.from_exception_data(type(config).__name__, missing)


def _without(error: ValidationError, names: Collection[str]) -> ValidationError:
    """The findings less those of settings that are said of a shard, too."""
    found = [
        InitErrorDetails(type=details["type"], loc=details["loc"], input=details["input"], ctx=details.get("ctx", {}))
        for details in error.errors(include_url=False)
        if details["loc"][0] not in names
    ]
    return ValidationError.from_exception_data(error.title, found)


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is full. See contract 02 section 5; ``max_tx_bytes`` is ours."""

    max_events: int = 2000
    max_bytes: int = 16 << 20
    max_ms: int = 50
    respect_source_tx: bool = True
    max_tx_bytes: int = 16 << 20


@dataclass(frozen=True)
class SourceContext:
    """What a source needs to know of the pipeline it runs in.

    ``state_dir`` belongs to this source, has mode 0700 and survives restarts. ``registry`` and
    ``failover`` are those of the source; only the thread that reads uses them. ``asked``: what sinks want beside rows.
    """

    pipeline: str
    tenant: str
    state_dir: Path
    limits: BatchLimits
    metrics: PipelineMetrics = field(repr=False)
    registry: SchemaRegistry = field(repr=False)
    failover: FailoverLog = field(repr=False)
    shard: str = ONE_LOG
    asked: frozenset[Asked] = frozenset()

    @property
    def source_name(self) -> str:
        """``source.name`` of its events."""
        return source_name(self.pipeline, self.shard)


class LogStream(Protocol):
    """One open connection to a log, reading from a position on. Used by one thread at a time.

    A stream never hands out a part of a transaction as if it were whole: see :class:`Batch`.
    """

    def open(self, position: Start | None) -> Position:
        """Connect, check the server, and start reading after ``position``.

        Args:
            position: Where to continue; None for the first start of this source. After a reset of the checkpoint
                it is a :class:`LogEdge`, or a position without the identity of the server.

        Returns:
            Where reading starts. On a first start this is saved before any row is delivered.

        Raises:
            SourceError: With the kind that says whether a retry can help.
            PositionLostError: The log at ``position`` is gone or belongs to another history.
        """

    def poll(self, timeout_secs: float) -> list[Batch]:
        """Batches that are due. Waits at most ``timeout_secs`` for bytes; may return none.

        A batch without events moves the position over log that holds nothing for us.

        Raises:
            SourceError: The connection broke (retryable) or the server refused.
            ProtocolError: The bytes are not understood; the pipeline stops.
            SchemaError: A row does not fit the known table definition.
        """

    def keep_alive(self, confirmed: Position | None) -> None:
        """Tell the server that we live and what it may forget. Called often, also while nothing is
        read because of back-pressure or a pause; decides itself whether something is to be sent.

        Args:
            confirmed: The newest *saved* position; the server may forget everything before it.
        """

    def log_end(self) -> Position | None:
        """The newest place of the log that the server told us of, read or not; None before the first. Called from
        any thread.
        """

    def unmatched_patterns(self) -> dict[str, str]:
        """Table patterns of the document that no table matches, and why as far as it is known; as of the connection,
        and less those that were matched since. Called from any thread.
        """

    def reload(self, tables: Sequence[TableName] | None) -> list[TableReload]:
        """Register what the catalog says now of these tables (None: of all captured ones), read over a connection
        of its own.

        Raises:
            SourceError: The catalog cannot be read.
            StorageError: It cannot be registered.
        """

    def close(self) -> None:
        """Disconnect. Never raises; may be called twice."""


class LeftSlot(NamedTuple):
    """A replication slot that stays on the server. ``retained_bytes``: of the log; None: not known."""

    name: str
    retained_bytes: int | None


class SourceSpec(Protocol):
    """The tagged ``{type, config}`` part of a document."""

    @property
    def type(self) -> str: ...

    @property
    def config(self) -> SourceConfig: ...

    def build(self, context: SourceContext) -> LogStream:
        """A new, unopened stream. Called again for each reconnect."""

    def table_codec(self, name: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> TableSchemaCodec:
        """What makes captured tables of the ``packed`` form that those of this source have.

        Args:
            name: ``source.name`` of its events.
            tenant: ``metadata.tenant``.
            count_python_rows: Is told of unpacked rows that the kernel leaves to the Python decoders.
        """

    def reads_from(self) -> dict[str, str]:
        """What it reads of its server, by kind, for people."""

    def left_slot(self) -> LeftSlot | None:
        """The replication slot of this source that is on the server; None if it has none. Connects.

        Raises:
            SourceError: The server cannot be asked.
        """

    def drop_slot(self, timeout_secs: float) -> None:
        """Drop that slot, if there is one; waits so long for its last reader to be gone. Connects.

        Raises:
            SourceError: It is there still.
        """
