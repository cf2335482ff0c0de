"""Scripted sources and sinks for faults and timings that no real server produces on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import SinkError
from deltaforge.core.event import ChangeEvent, SourceInfo
from deltaforge.core.lanes import ONE_LOG, lanes_of
from deltaforge.core.positions import Position, PostgresPosition, Start
from deltaforge.core.snapshot import ChunkMark
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.schema.registry import TableName
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sinks.base import SinkConfig
from deltaforge.sources.base import BatchLimits
from deltaforge.sources.loader import TableReload
from deltaforge.spec.model import RequiredPolicy, ShardingSpec

TABLE = TableSchema(TableId("app", "public", "t"), (Column("id", "integer", nullable=False),), ("id",))


def make_event(number: int, lsn: int) -> ChangeEvent:
    """An insert of the row ``{"id": number}`` committed at ``lsn``."""
    source = SourceInfo(
        version="test",
        connector="postgresql",
        name="p",
        ts_ms=1,
        db="app",
        schema="public",
        table="t",
        lsn=f"0/{lsn:X}",
    )
    return ChangeEvent(before=None, after={"id": number}, source=source, op="c", ts_ms=1, schema=TABLE)


def make_batch(number: int, *, lsn: int | None = None, event_count: int = 1, is_tx_end: bool = True) -> Batch:
    """A batch of ``event_count`` rows, numbered from ``number`` on, whose transaction ends at ``lsn``."""
    end = lsn if lsn is not None else number + 1
    events = [make_event(number + n, end - 1) for n in range(event_count)]
    return Batch(events, PostgresPosition(end), is_tx_end=is_tx_end, byte_count=100, received_at=time.monotonic())


def make_chunk(
    number: int, *, first: int = 0, lsn: int = 9, event_count: int = 1, sinks: tuple[str, ...] | None = None
) -> Batch:
    """Copied rows, numbered from ``first`` on, behind a log that is read up to ``lsn``."""
    batch = make_batch(first, lsn=lsn, event_count=event_count)
    batch.chunk = ChunkMark(number, "j", "public", "t", low=f"{number - 1}", high=f"{number}", sinks=sinks)
    return batch


class ScriptedStream:
    """A :class:`LogStream` over numbered rows: row N is committed at LSN N and ends at N + 1.

    Args:
        last: Number of the last row; after it the log is quiet.
        fault: Called with each row number before it is read; may raise.
        tx_rows: Rows of a transaction; each row is a batch of its own.
    """

    def __init__(self, last: int, fault: Callable[[int], None] = lambda _: None, *, tx_rows: int = 1) -> None:
        self._last = last
        self._fault = fault
        self._tx_rows = tx_rows
        self._next = 0
        self.confirmed: list[int] = []
        self.starts: list[int | None] = []

    @property
    def provisional(self) -> Collection[str]:
        return ()

    def open(self, position: Start | None) -> Position:
        self.starts.append(position.lsn if isinstance(position, PostgresPosition) else None)
        self._next = position.lsn if isinstance(position, PostgresPosition) else 1
        return PostgresPosition(self._next)

    def poll(self, timeout_secs: float) -> list[Batch]:
        if self._next > self._last:
            time.sleep(min(timeout_secs, 0.005))
            return []
        self._fault(self._next)
        self._next += 1
        number = self._next - 1
        return [make_batch(number, is_tx_end=number % self._tx_rows == 0)]

    def keep_alive(self, confirmed: Position | None) -> None:
        if isinstance(confirmed, PostgresPosition):
            self.confirmed.append(confirmed.lsn)

    def unmatched_patterns(self) -> dict[str, str]:
        return {}

    def log_end(self) -> Position | None:
        return PostgresPosition(self._last + 1)

    def reload(self, tables: Sequence[TableName] | None) -> list[TableReload]:
        return [TableReload(*table, "ok", changed=True) for table in tables or []]

    def close(self) -> None:
        pass


class RecordingSink:
    """A :class:`Sink` that keeps the ids of rows: ``written``, and ``durable`` after ``flush``.

    ``config_type`` is that of its settings.
    ``fault`` is called with ``"open"``, ``"write"`` or ``"flush"`` and the number of calls so far.
    """

    config_type = SinkConfig

    def __init__(self, fault: Callable[[str, int], None] = lambda *_: None) -> None:
        self._fault = fault
        self._calls = 0
        self.written: list[int] = []
        self.durable: list[int] = []
        self.closed_count = 0

    def open(self) -> None:
        self._call("open")

    def write(self, batch: Batch) -> None:
        self._call("write")
        self.written += [cast("dict[str, Any]", event.after)["id"] for event in batch.events()]

    def flush(self) -> DeliveryReport:
        self._call("flush")
        self.durable += self.written
        self.written = []
        return ALL_ACKED

    def suspend(self) -> None:
        self.close()

    def close(self) -> None:
        self.written = []
        self.closed_count += 1

    def _call(self, name: str) -> None:
        self._calls += 1
        self._fault(name, self._calls)


class GatheringConfig(SinkConfig):
    """Settings of a :class:`RecordingGatherer`."""

    is_gathering = True


class RecordingGatherer(RecordingSink):
    """A :class:`GatheringSink` that is due while ``is_due``."""

    config_type = GatheringConfig
    is_due = False

    def flush_due(self, now: float) -> bool:
        del now
        return self.is_due


def fail_on(name: str, *numbers: int, kind: str = "connect") -> Callable[[str, int], None]:
    """A fault for :class:`RecordingSink`: the given calls fail if they are calls of ``name``."""

    def fault(called: str, number: int) -> None:
        if called == name and number in numbers:
            raise SinkError(f"{name} failed on purpose", kind=kind)

    return fault


def fake_spec(  # noqa: PLR0913 - what a document says, as far as tests vary it
    stream: Any,
    sinks: dict[str, Any],
    *,
    optional: frozenset[str] = frozenset(),
    journal: Any = None,
    policy: Any = None,
    settings: dict[str, dict[str, Any]] | None = None,
    sharding: ShardingSpec | None = None,
) -> Any:
    """What the runtime uses of a ``PipelineSpec``, around a scripted stream and ready-made sinks.

    ``settings`` are more of the config of each sink, by its id. A function among ``sinks`` makes one from its context.
    """
    batch = SimpleNamespace(max_inflight=1, limits=lambda: BatchLimits(max_events=1))  # rows stay apart
    sink_specs = [
        SimpleNamespace(
            type="recording",
            config=getattr(sink, "config_type", SinkConfig)(
                id=name, required=name not in optional, **(settings or {}).get(name, {})
            ),
            build=lambda context, sink=sink: sink(context) if callable(sink) else sink,
        )
        for name, sink in sinks.items()
    ]
    source = SimpleNamespace(
        type="scripted",
        config=SimpleNamespace(id="s1", tables=[], snapshot=None),
        build=lambda _context: stream,
        table_codec=lambda *_: None,  # its batches are events
    )
    spec = SimpleNamespace(
        source=source,
        sinks=sink_specs,
        batch=batch,
        commit_policy=policy or RequiredPolicy(mode="required"),
        sink_batch_deadline_secs=None,
        schema_sensing=SchemaSensing(),
        journal=journal,
        sharding=sharding,
    )
    document = SimpleNamespace(metadata=SimpleNamespace(name="p", tenant="t"), spec=spec)
    document.lanes = lambda: lanes_of((ONE_LOG,), (sharding.count or 1) if sharding else 1)
    document.shards = lambda: (ONE_LOG,)
    document.of_shard = lambda _shard: document
    return document
