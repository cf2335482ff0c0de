"""What a source is to the runtime: settings that build a :class:`LogStream`.

A plug-in package knows this module, :mod:`.reader` and :mod:`.batching`, and no other source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.config.secret import Dsn
from deltaforge.core.batch import Batch
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


class SourceConfig(StrictModel):
    """Settings that every source has."""

    id: str = Field(min_length=1, description="Key of the saved position; unique across pipelines.")
    dsn: Dsn = Field(description="Connection string; its password is never shown.")
    tables: list[TablePattern] = Field(description="Table patterns; empty means all user tables.")
    snapshot: SnapshotConfig | None = Field(None, description="Absent: no initial copy.")
    on_schema_drift: Literal["adapt", "halt"] = Field(
        "adapt", description="After a failover to a server whose tables differ: go on with a warning, or stop."
    )


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

    ``state_dir`` belongs to this pipeline, has mode 0700 and survives restarts. ``registry`` and
    ``failover`` are those of the source; only the thread that reads uses them.
    """

    pipeline: str
    tenant: str
    state_dir: Path
    limits: BatchLimits
    metrics: PipelineMetrics = field(repr=False)
    registry: SchemaRegistry = field(repr=False)
    failover: FailoverLog = field(repr=False)


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

    def table_codec(
        self, pipeline: str, tenant: str, count_python_rows: CountPythonRows = uncounted
    ) -> TableSchemaCodec:
        """What makes captured tables of the ``packed`` form that those of this source have.

        Args:
            pipeline: ``metadata.name``.
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
