"""What a sink is to the runtime. A plug-in file knows this module and no other sink."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, Field, model_validator

from deltaforge.config.model import StrictModel
from deltaforge.core.batch import Batch, EventEncoder
from deltaforge.core.delivery import DeliveryReport
from deltaforge.core.encoded import NO_TOMBSTONES
from deltaforge.core.errors import SpecError
from deltaforge.core.event import Asked
from deltaforge.core.resume import SinkProgress
from deltaforge.core.template import Template
from deltaforge.encodings.base import DestinationEncoder
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import AnyEncoding, build_encoder
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.envelopes.spec import AnyEnvelope
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.waiting import Waiting


class SinkFilter(StrictModel):
    """Which events a sink wants. All conditions must hold."""

    exclude_synthetic: bool = Field(False, description="Drop events that a processor created.")
    synthetic_only: bool = Field(False, description="Only events that a processor created.")
    producers: list[str] = Field(default_factory=list, description="Only synthetic events of these processor ids.")

    @model_validator(mode="after")
    def _is_possible(self) -> SinkFilter:
        if self.exclude_synthetic and self.synthetic_only:
            raise ValueError("exclude_synthetic and synthetic_only exclude each other")
        return self


class SpoolConfig(StrictModel):
    """What waits on disk for a sink that the others do not wait for."""

    max_bytes: int = Field(
        10 << 30, ge=1, description="Bytes on the disk of the state directory; whole segments of 64 MiB are freed."
    )
    on_full: Literal["block", "detach"] = Field(
        "block",
        description="What gives way when it is full: `block` holds the pipeline until the sink has caught up; `detach` "
        "gives the sink up, which gets nothing more until its checkpoint is reset.",
    )


class SinkConfig(StrictModel):
    """Settings that every sink has.

    ``is_gathering``: of its type, whether the sink is a :class:`GatheringSink`.
    """

    is_gathering: ClassVar[bool] = False

    id: str = Field(min_length=1, description="Unique in the pipeline; key of the sink's saved position.")
    required: bool = Field(True, description="Whether the source position waits for this sink.")
    start: Literal["earliest", "latest", "snapshot"] = Field(
        "latest",
        description="Where a sink begins that is added to a pipeline which has run before: `earliest` with the oldest "
        "rows that the source's log still has, `latest` with the next ones, `snapshot` with the next ones and a copy "
        "of all tables, which no other sink gets.",
    )
    spool: SpoolConfig = Field(default_factory=SpoolConfig, description="For sinks that are not waited for.")
    filter: SinkFilter | None = Field(None, description="Which events this sink gets; all when absent.")

    @property
    def keeps_progress(self) -> bool:
        """Whether the sink is a :class:`ProgressStore`."""
        return False

    @property
    def splits_key_changes(self) -> bool:
        """Whether an update that changes a key becomes messages under both: not in lanes by key."""
        return False

    @property
    def asks(self) -> frozenset[Asked]:
        """What it wants of a source beside rows."""
        return frozenset()


def asked_by(sinks: Iterable[SinkConfig]) -> frozenset[Asked]:
    """What some of these sinks want of a source beside rows."""
    return frozenset(asked for sink in sinks for asked in sink.asks)


def _parsed(text: str) -> str:
    Template.parse(text)
    return text


TemplateText = Annotated[str, Field(min_length=1), AfterValidator(_parsed)]
"""Text with paths into the event, e.g. ``cdc.${source.table}`` (:mod:`deltaforge.core.template`)."""


class EncodedSinkConfig(SinkConfig):
    """Settings of a sink that delivers one encoded value per event."""

    envelope: AnyEnvelope = Field(default_factory=NativeEnvelopeSpec, description="The document around an event.")
    encoding: AnyEncoding = Field(default_factory=JsonEncodingSpec, description="How the document is made bytes.")

    has_destinations: ClassVar[bool] = True
    """Of its type, whether the sink has topics, streams or subjects, as encodings with a registry need."""

    @property
    def asks(self) -> frozenset[Asked]:
        return self.envelope.asks

    def check_encoding(self) -> None:
        """Refuse an envelope and an encoding that do not go together.

        Raises:
            SpecError: As :meth:`encoder`.
        """
        if self.has_destinations:
            build_encoder(self.envelope, self.encoding)
        else:
            self.encoder()

    def encoder(self) -> EventEncoder:
        """What makes the value bytes, for a sink without destinations.

        Raises:
            SpecError: The encoding is not available in this version, or needs to know where an event goes.
        """
        encoder = build_encoder(self.envelope, self.encoding, NO_TOMBSTONES)
        if isinstance(encoder, DestinationEncoder):
            raise SpecError(f"{self.encoding.type} needs a sink with destinations", hint="use encoding: json")
        return encoder


def file_of_lane(path: Path, lane: str) -> Path:
    """The file that a lane of this name has for itself: ``events.jsonl`` is ``events.2.jsonl`` in lane 2."""
    lane = lane.replace("#", ".")
    return path.with_name(f"{path.stem}.{lane}{path.suffix}") if lane else path


@dataclass(frozen=True)
class SinkContext:
    """What a sink needs to know of the pipeline it runs in.

    ``generation`` is made at the pipeline's first start and saved with its positions: what an earlier
    pipeline of the same name left at a destination says nothing about this one. A file has to be in ``output_dir``,
    if there is one. ``adopts``: the sink's file was made by an earlier version, which left no marker. ``lane``: name of
    the lane it gets, empty if there is only one: what a sink has at its destination for itself, it has for each lane.
    ``shard``: whose log it gets; empty without shards.
    """

    pipeline: str
    tenant: str
    metrics: PipelineMetrics = field(repr=False)
    generation: str = ""
    output_dir: Path | None = None
    adopts: bool = False
    waiting: Waiting = field(default_factory=Waiting, repr=False)
    lane: str = ""
    shard: str = ""

    def file_of(self, path: Path) -> Path:
        """The file of the lane."""
        return file_of_lane(path, self.lane)


class Sink(Protocol):
    """Writes batches in order. Used by one thread at a time, the sink's own delivery thread.

    A batch is *acked* when the report of a :meth:`flush` says so. After any error, everything that is not acked is
    written again, in the same order, by the caller; so a sink may deliver twice, but never leaves a gap. Errors say by
    their kind whether a retry can help (:mod:`deltaforge.core.retry`); the caller does the waiting.

    The life of a sink: ``open``, then ``write`` and ``flush``; after an error ``suspend`` and ``open``, and the same
    batches again; ``close`` at the end, or where the caller goes on with other batches.
    """

    def open(self) -> None:
        """Connect. May be called again after :meth:`suspend` and :meth:`close`.

        Raises:
            SinkError: Kinds ``connect``, ``auth``, ….
            MissingDependencyError: The client library is not installed.
        """

    def write(self, batch: Batch) -> None:
        """Hand a batch over. May return before the batch is durable.

        Raises:
            SinkError: What is not acked is in doubt.
            RecordError: One event cannot be written, ever. Unless its ``written_count`` is None, what was written
                before goes on as if nothing had happened, and so do that many events of this batch.
        """

    def flush(self) -> DeliveryReport:
        """Make everything written durable, on disk or acknowledged by the server, and say what became of it.

        Raises:
            SinkError: What is not acked is in doubt.
            RecordError: Likewise, most likely for the fault of that event; its ``written_count`` is None.
        """

    def suspend(self) -> None:
        """Give up the connection, and keep what is needed to go on with the same batches. Never raises."""

    def close(self) -> None:
        """Disconnect without flushing, and forget what is not acked: nothing of it comes later. Never raises; may be
        called at any time, and twice.
        """


class GatheringSink(Sink, Protocol):
    """A :class:`Sink` that makes few large things of many batches, and so acks them late.

    Its config says ``is_gathering``: then no barrier waits for it, what it has not acked is in its spool, and ``flush``
    is called when it is due, when somebody waits for it, or when too much memory is held for what is not acked.
    """

    def flush_due(self, now: float) -> bool:
        """Whether it is time to flush what was written; asked often. ``now`` is ``time.monotonic()``."""


@runtime_checkable
class ProgressStore(Protocol):
    """A :class:`Sink` that keeps the progress at its destination, in one transaction with the events.

    The ``written_count`` of a RecordError is 0 or None: a transaction has all of a batch before the event, or none.
    What a report refuses is not acked with it: the caller keeps those events before the rest is written again. A flush
    that no progress was noted for leaves the progress as it is.
    """

    def stored_progress(self) -> SinkProgress | None:
        """What the destination said at :meth:`Sink.open`; None if it knows nothing of this pipeline."""

    def note_progress(self, progress: SinkProgress) -> None:
        """How far the source is with what was written: the next ``flush`` makes it durable with the events."""

    def drain(self) -> DeliveryReport:
        """Return when the destination has taken everything written, which only ``flush`` makes durable. A report that
        it is in doubt is that of the next ``flush`` as well.

        Raises:
            SinkError: As ``flush``.
        """


class SinkSpec(Protocol):
    """The tagged ``{type, config}`` part of a document."""

    @property
    def type(self) -> str: ...

    @property
    def config(self) -> SinkConfig: ...

    def build(self, context: SinkContext) -> Sink:
        """A new, unopened sink."""


def not_built(sink_type: str, context: SinkContext) -> SpecError:
    """The error of a sink type whose settings are known and which this version cannot run."""
    return SpecError(
        f"sinks of type `{sink_type}` are not available in this version",
        hint="use kafka, redis, file or stdout",
        pipeline=context.pipeline,
    )
