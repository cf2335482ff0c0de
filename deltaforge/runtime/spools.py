"""The spools of a pipeline: one directory for each sink that ever needed one."""

from __future__ import annotations

import logging

from deltaforge.checkpoint.spool import SEGMENT_BYTES, START, Spool, remove_spool
from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.checkpoint.state import SpoolMark
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sink_feed import SinkFeed
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.spool_meter import SpoolMeter

log = logging.getLogger(__name__)

MIN_SEGMENTS = 8
"""A small spool has smaller segments, so that it is freed in parts as well."""


class Spools:
    """Opens the spool of each sink, and removes those of sinks that are gone.

    Args:
        info: Of the run.
        tables: Packs the captured tables of the source.
    """

    def __init__(self, info: RunInfo, tables: TableSchemaCodec) -> None:
        self._info = info
        self._tables = tables
        present = {info.paths.spool(sink.config.id) for sink in info.spec.spec.sinks}
        self._others = [directory for directory in info.paths.spools.glob("*") if directory not in present]

    @property
    def has_others(self) -> bool:
        """Whether there is something of sinks that the document does not have any more."""
        return bool(self._others)

    def feed(self, worker: SinkWorker, mark: SpoolMark | None, *, is_follower: bool) -> SinkFeed:
        """What brings batches to a sink.

        Raises:
            StorageError: What waits for it cannot be opened.
        """
        config = worker.config.spool
        spool = Spool(
            self._info.paths.spool(worker.id),
            self._tables,
            mark.first if mark else START,
            mark.end if mark else START,
            segment_bytes=max(1, min(SEGMENT_BYTES, config.max_bytes // MIN_SEGMENTS)),
        )
        if spool.waiting_count:
            log.info("%d events wait in the spool of sink %s", spool.waiting_count, worker.id, extra=worker.log_fields)
        meter = SpoolMeter(self._info.metrics, worker.id, config.max_bytes)
        return SinkFeed(worker, spool, config, meter, mark=mark, is_follower=is_follower)

    def remove_others(self) -> None:
        """Forget what waited for sinks that the document does not have any more: a saved state says so.

        Raises:
            StorageError: The files cannot be removed.
        """
        while self._others:
            directory = self._others.pop()
            remove_spool(directory)
            log.info(
                "the spool of %s is removed with its sink", directory.name, extra={"lane": self._info.lane.name or None}
            )
