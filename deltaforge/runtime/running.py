"""A running pipeline as it is seen from outside of its dataflow: by the control socket, the progress line, the
launcher.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.checkpoint.state import DeliveryState, SourceState
from deltaforge.core.chunks_ahead import ChunksAhead, LaneSays
from deltaforge.core.errors import ControlError, DeltaForgeError, NotFoundError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.lanes import Lane, source_name
from deltaforge.runtime.barrier_requests import BarrierRequests
from deltaforge.runtime.crossing import Arrivals
from deltaforge.runtime.dead_letters import RetryRequest, SharedDeadLetters
from deltaforge.runtime.delivery import Delivery
from deltaforge.runtime.lanes_elsewhere import hear_lanes_elsewhere
from deltaforge.runtime.log_snapshots import LogSnapshots
from deltaforge.runtime.router import Router
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.source import LogPartition
from deltaforge.runtime.spools import Spools
from deltaforge.runtime.tap import Tap
from deltaforge.runtime.turns import LogTurns
from deltaforge.sources.reader import LogReader


class RunningPipeline:
    """What of a pipeline runs in this process.

    With one process both ends are there once the dataflow runs. With several processes each is only where Bytewax
    placed it.

    Args:
        info: Of the run.

    Attributes:
        tap: Shows what passes to whoever listens.
        sources: The partitions that read a log, by shard, as far as they are here by now.
        deliveries: The partitions that own the sinks of a lane; likewise.
        sinks_to_fill: Ids of the sinks that get a snapshot of their own, by shard; to be set before the dataflow runs.
        arrivals: Of batches from other processes.
    """

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.tap = Tap(info.metrics)
        self.sources: dict[str, LogPartition] = {}
        self.deliveries: dict[Lane, Delivery] = {}
        lanes = info.spec.lanes()
        self._requests = {lane.shard: BarrierRequests(lane.count) for lane in lanes}
        is_asked = info.is_whole or any(sink.config.keeps_progress for sink in info.spec.spec.sinks)
        self._ahead = {lane.shard: ChunksAhead(lane.count if is_asked else 0) for lane in lanes}
        self.sinks_to_fill: dict[str, list[str]] = {}
        self._turns = LogTurns()
        self._is_paused = info.starts_paused
        self._letters = SharedDeadLetters(info)
        # Now, because it imports the source's package: two threads that import it at a time may see it half loaded.
        self._tables = {lane.shard: self._tables_of(source_name(info.name, lane.shard)) for lane in lanes}
        self.arrivals = Arrivals(self._tables_of)

    @property
    def source(self) -> LogPartition | None:
        """The partition that reads the log, or the first one; None: none is here, or not yet."""
        return next(iter(list(self.sources.values())), None)

    @property
    def delivery(self) -> Delivery | None:
        """The partition that owns the sinks, or the first one; None: none is here, or not yet."""
        return next(iter(list(self.deliveries.values())), None)

    @property
    def reader(self) -> LogReader | None:
        """What reads the log, if that is in this process."""
        return self.source.reader if self.source is not None else None

    def read_log(
        self, info: RunInfo, state: SourceState | None, reset: ResetRequest | None, state_before_reset: bytes | None
    ) -> LogPartition:
        """Bytewax has placed a log here; see :class:`LogPartition`."""
        shard, was_paused = info.lane.shard, self._is_paused
        hear_lanes_elsewhere(info, self._ahead[shard])
        source = self.sources[shard] = LogPartition(
            replace(info, starts_paused=was_paused),
            self._requests[shard],
            self._ahead[shard],
            self.sinks_to_fill.get(shard, []),
            self._turns,
            state=state,
            reset=reset,
            state_before_reset=state_before_reset,
        )
        if self._is_paused != was_paused:  # asked for meanwhile
            source.set_paused(is_paused=self._is_paused or source.is_paused_alone)
        return source

    def deliver(self, info: RunInfo, state: DeliveryState | None, state_before_reset: bytes | None) -> Delivery:
        """Bytewax has placed a lane here; see :class:`Delivery`."""
        shard = info.lane.shard
        spools = Spools(info, self._tables[shard])
        delivery = self.deliveries[info.lane] = Delivery(
            info,
            self._requests[shard],
            spools,
            self.tap,
            self.arrivals,
            self._letters,
            ahead=self._ahead[shard],
            state=state,
            state_before_reset=state_before_reset,
        )
        return delivery

    @property
    def snapshots(self) -> LogSnapshots:
        """The jobs that copy tables.

        Raises:
            ControlError: The source runs in another process of the cluster, or has not come so far.
        """
        if self.source is None:
            raise ControlError("no tables can be copied by this process", hint="ask again once the pipeline runs")
        return LogSnapshots({shard: source.snapshots for shard, source in list(self.sources.items())})

    def chunks_ahead(self, shard: str) -> list[LaneSays]:
        """What the sinks of a log's lanes that are here have of snapshots."""
        ahead = self._ahead.get(shard)
        return ahead.of_lanes() if ahead is not None else []

    def set_paused(self, *, is_paused: bool) -> None:
        """Stop or go on reading. The connection, keepalives and epochs go on either way. Shards that are paused by
        themselves stay so; those that could not be read any more are read again. A log that is placed here later is so
        from its beginning on, also after a refusal.

        Raises:
            ControlError: The source runs in another process of the cluster, or has not come so far.
        """
        self._is_paused = is_paused
        self._reader_here()
        for source in list(self.sources.values()):
            source.set_paused(is_paused=is_paused or source.is_paused_alone)

    def set_shard_paused(self, shard: str, *, is_paused: bool) -> None:
        """The same for one shard, until it is said otherwise, also after a restart.

        Raises:
            NotFoundError: There is no such shard.
            ControlError: It is read by another process of the cluster.
        """
        source = self._source_of(shard)
        source.note_paused_alone(is_paused=is_paused)
        source.set_paused(is_paused=is_paused or self._is_paused)

    def reload_schemas(self, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
        """Read table definitions from the source's catalog again; see :meth:`LogReader.reload`. Of a shard that is away
        one row says so, without a table.

        Raises:
            ControlError: The source runs in another process of the cluster, or is not connected.
        """
        self._reader_here()
        return [row for shard, source in list(self.sources.items()) for row in _reloaded(shard, source, tables)]

    def retry_dead_letters(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Deliver dead letters again; see :meth:`PipelineDeadLetters.retry`.

        Raises:
            ControlError: There are none in this process.
        """
        delivery = self.delivery
        if delivery is None or delivery.dead_letters is None:
            raise ControlError(f"pipeline {self.info.name} has no journal, or delivers in another process")
        asked = msgspec.convert(
            {key: request[key] for key in RetryRequest.__struct_fields__ if key in request}, RetryRequest
        )
        return delivery.dead_letters.retry(asked, self._worker_of)

    def _worker_of(self, sink_id: str, event: ChangeEvent) -> SinkWorker | None:
        """Who writes an event to a sink: the thread of the lane that the event belongs to."""
        number = Router(self.info).lane_of(event)
        workers = [
            worker
            for lane, delivery in list(self.deliveries.items())
            if lane.number == number and source_name(self.info.name, lane.shard) in (event.source.name, self.info.name)
            for worker in delivery.workers
        ]
        return next((worker for worker in workers if worker.id == sink_id), None)

    def look_at_lanes(self) -> None:
        """Note why a sink has ended whose log is read in another process: nothing may come that would meet it."""
        for shard, requests in self._requests.items():
            if shard not in self.sources:
                try:
                    requests.is_open()
                except DeltaForgeError as error:
                    self.info.ending.fail(error)

    def close(self) -> None:
        """End the threads of the parts that Bytewax has not closed: it closes none after an exception."""
        for delivery in self.deliveries.values():
            delivery.begin_close()
        for source in self.sources.values():
            source.reader.close(self.info.ending.threads_secs())
        for delivery in self.deliveries.values():
            delivery.close()
        self.tap.close()

    def _source_of(self, shard: str) -> LogPartition:
        if shard not in self.info.spec.shards():
            raise NotFoundError(f"pipeline {self.info.name} has no shard {shard[:64]!r}")
        if shard not in self.sources:
            raise ControlError(f"shard {shard} is not read in this process", hint="ask again once the pipeline runs")
        return self.sources[shard]

    def _reader_here(self) -> LogReader:
        if self.reader is None:
            raise ControlError("the source is not in this process", hint="ask the process that reads the log")
        return self.reader

    def _tables_of(self, name: str) -> TableSchemaCodec:
        info = self.info
        codec: TableSchemaCodec = info.spec.spec.source.table_codec(name, info.tenant, info.metrics.count_python_rows)
        return codec


def _reloaded(shard: str, source: LogPartition, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
    try:
        rows = [msgspec.structs.asdict(table) for table in source.reader.reload(tables)]
    except ControlError as error:
        if not shard:
            raise
        rows = [{"database": "", "table": "", "status": "error", "changed": False, "error": str(error)}]
    source.snapshots.look()
    return [{**row, "shard": shard} if shard else row for row in rows]
