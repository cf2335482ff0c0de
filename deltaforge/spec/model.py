"""The pipeline document as models. Contract 02; ``docs/document.md`` is made from the descriptions here."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from deltaforge.config.model import StrictModel
from deltaforge.core.lanes import MAX_PROCESSES, MAX_WORKERS, ONE_LOG, Lane, lanes_of
from deltaforge.plugins import AnyProcessor, AnySink, AnySource
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sources.base import BatchLimits, SnapshotConfig

_MAX_U32 = (1 << 32) - 1
_MAX_PATH_SEGMENT = 200


class Metadata(StrictModel):
    """Who the pipeline is."""

    name: str = Field(
        min_length=1, description="Unique. Part of routes, file names, metrics, `source.name` and transactional ids."
    )
    tenant: str = Field(min_length=1, description="`tenant_id` of every event; key of registered schemas.")
    labels: dict[str, str] = Field(default_factory=dict, description="For `GET /pipelines?label=` and metrics.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Free text.")

    @field_validator("name")
    @classmethod
    def _fits_paths(cls, name: str) -> str:
        if name != name.strip() or name in (".", "..") or not name.isprintable() or "/" in name or "\\" in name:
            raise ValueError("must be usable in a path: printable, no slashes, no space at either end, not . or ..")
        if len(quote(name, safe="")) > _MAX_PATH_SEGMENT:
            raise ValueError(f"must be at most {_MAX_PATH_SEGMENT} characters when percent-encoded")
        return name


class BatchSpec(StrictModel):
    """When a batch is full, and how many are under way."""

    max_events: int = Field(2000, ge=1, le=_MAX_U32, description="Events after which a batch is handed on.")
    max_bytes: int = Field(16 << 20, ge=1, description="Log bytes after which a batch is handed on.")
    max_ms: int = Field(50, ge=0, le=_MAX_U32, description="Milliseconds after which a batch is handed on.")
    respect_source_tx: bool = Field(
        True, description="Never split a transaction of the source, even beyond the other limits."
    )
    max_inflight: int = Field(1, ge=1, le=1024, description="Batches between building and delivery; order is kept.")
    max_tx_bytes: int = Field(
        16 << 20, ge=1, description="Log bytes after which even a single transaction is handed on in several batches."
    )

    def limits(self) -> BatchLimits:
        """The part that sources need."""
        return BatchLimits(
            max_events=self.max_events,
            max_bytes=self.max_bytes,
            max_ms=self.max_ms,
            respect_source_tx=self.respect_source_tx,
            max_tx_bytes=self.max_tx_bytes,
        )


class RequiredPolicy(StrictModel):
    """A position is saved when every sink with ``required: true`` has the batch."""

    mode: Literal["required"] = Field("required", description="Every required sink.")


class AllPolicy(StrictModel):
    """A position is saved when every sink has the batch."""

    mode: Literal["all"] = Field(description="Every sink.")


class QuorumPolicy(StrictModel):
    """A position is saved when enough sinks have the batch."""

    mode: Literal["quorum"] = Field(description="Any `quorum` sinks.")
    quorum: int = Field(ge=1, description="How many sinks; at most as many as there are.")


CommitPolicy = Annotated[RequiredPolicy | AllPolicy | QuorumPolicy, Field(discriminator="mode")]
"""Which sinks must hold a batch before the position after it is saved."""


class DeadLetterSpec(StrictModel):
    """The queue of events that failed alone."""

    max_entries: int = Field(10_000, ge=1, description="Entries kept.")
    max_age_secs: int = Field(604_800, ge=0, description="Seconds an entry is kept; 0: no limit.")
    overflow_policy: Literal["drop_oldest", "reject", "block"] = Field(
        "drop_oldest", description="What gives way when the queue is full: old entries, the new one, or the pipeline."
    )


class JournalSpec(StrictModel):
    """Keeping events that failed alone; without it such an event stops the pipeline."""

    enabled: bool = Field(False, description="Whether failed events are kept.")
    max_event_bytes: int = Field(262_144, ge=1, description="Bytes of an event's JSON beyond which images are cut.")
    dlq: DeadLetterSpec = Field(default_factory=DeadLetterSpec, description="Limits of the queue.")


MAX_LANES = 64
"""Of a log. Each has a thread and a connection for every sink."""
SPLITTING_MODES = ("table", "key")
SHARDING_MODES = ("none", "source", *SPLITTING_MODES)


class ShardingSpec(StrictModel):
    """Splitting the delivery into lanes: `docs/lanes.md`."""

    mode: str = Field(
        description="`table`: all rows of a table go to one lane; `key`: all rows with one primary key; `none` and "
        "`source`: one lane for each log."
    )
    count: int | None = Field(
        None, ge=1, le=_MAX_U32, description=f"Lanes of each log, at most {MAX_LANES}; absent: 1."
    )
    key: str | None = Field(
        None, min_length=1, description="With mode `key`: the column to split by; absent: the primary key."
    )

    def lane_count(self) -> int:
        """Lanes of each log."""
        return (self.count or 1) if self.mode in SPLITTING_MODES else 1


class RuntimeSpec(StrictModel):
    """How many processes and threads run the pipeline: `docs/tuning.md` says when more than one of each pay."""

    processes: int = Field(
        1, ge=1, le=MAX_PROCESSES, description="Processes of this machine. They talk to each other over loopback."
    )
    workers: int = Field(1, ge=1, le=MAX_WORKERS, description="Worker threads of the dataflow in each process.")


class ConnectionLimits(StrictModel):
    """Bounds of the connections to one source."""

    max_dedicated_per_source: int | None = Field(None, ge=1, le=_MAX_U32, description="Connections to one source.")


class ConnectionPolicy(StrictModel):
    """How pipelines share connections. Read, but without effect in this version."""

    default_mode: str | None = Field(None, description="`dedicated`: every pipeline has connections of its own.")
    preferred_replica: str | None = Field(None, description="Replica to read from.")
    limits: ConnectionLimits | None = Field(None, description="Bounds.")


class PipelineBody(StrictModel):
    """What the pipeline does."""

    source: AnySource = Field(description="Where changes come from.")
    processors: list[AnyProcessor] = Field(description="What happens to them, in order; `[]` for nothing.")
    sinks: list[AnySink] = Field(min_length=1, description="Where they go; at least one.")
    batch: BatchSpec = Field(default_factory=BatchSpec, description="When a batch is full.")
    commit_policy: CommitPolicy = Field(
        default_factory=RequiredPolicy, description="Which sinks must hold a batch before its position is saved."
    )
    sink_batch_deadline_secs: int | None = Field(
        None, ge=1, le=_MAX_U32, description="Seconds that a sink may take for one batch; absent: no limit."
    )
    schema_sensing: SchemaSensing = Field(
        default_factory=SchemaSensing, description="Learning the shape of the data: `docs/shapes.md`."
    )
    journal: JournalSpec | None = Field(None, description="Keeping events that failed alone.")
    sharding: ShardingSpec | None = Field(None, description="Splitting the delivery into lanes.")
    runtime: RuntimeSpec | None = Field(None, description="Processes and threads; absent: one of each.")
    connection_policy: ConnectionPolicy | None = Field(None, description="How pipelines share connections.")


class PipelineSpec(StrictModel):
    """A pipeline document. Made by :func:`deltaforge.spec.parse_document`, which checks more than types."""

    apiVersion: Literal["deltaforge/v1"] = Field("deltaforge/v1", description="May be left out.")  # noqa: N815 - as in the document
    kind: Literal["Pipeline"] = Field("Pipeline", description="May be left out.")
    metadata: Metadata = Field(description="Who the pipeline is.")
    spec: PipelineBody = Field(description="What it does.")

    def shards(self) -> tuple[str, ...]:
        """Ids of the logs that are read; :data:`~deltaforge.core.lanes.ONE_LOG` if the source has no shards."""
        shards = self.spec.source.config.shards
        return tuple(shard.id for shard in shards) if shards else (ONE_LOG,)

    def of_shard(self, shard: str) -> PipelineSpec:
        """The document as if this shard were its source; itself for the one log of a source without shards."""
        if shard == ONE_LOG:
            return self
        source = self.spec.source.model_copy(update={"config": self.spec.source.config.of_shard(shard)})
        return self.model_copy(update={"spec": self.spec.model_copy(update={"source": source})})

    def lanes(self) -> tuple[Lane, ...]:
        """What the delivery is split into."""
        return lanes_of(self.shards(), self.spec.sharding.lane_count() if self.spec.sharding else 1)

    def with_runtime(self, *, processes: int | None, workers: int | None) -> PipelineSpec:
        """The document with these numbers of processes and workers; None: as it says."""
        if processes is None and workers is None:
            return self
        own = self.spec.runtime or RuntimeSpec()
        runtime = RuntimeSpec(processes=processes or own.processes, workers=workers or own.workers)
        return self.model_copy(update={"spec": self.spec.model_copy(update={"runtime": runtime})})

    def echo(self) -> dict[str, Any]:
        """The document with defaults filled in and secrets as ``***``, as JSON values.

        Optional blocks that were not given are null (contract 02 section 13), except ``schema_sensing``
        and the source's ``snapshot``, which show what holds.
        """
        data = self.model_dump(mode="json", include={"metadata", "spec"})
        for name in ("batch", "commit_policy"):
            if name not in self.spec.model_fields_set:
                data["spec"][name] = None
        source = data["spec"]["source"]["config"]
        if source.get("snapshot") is None:
            source["snapshot"] = SnapshotConfig(mode="never").model_dump(mode="json")
        return data
