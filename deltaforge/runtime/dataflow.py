"""Compiles a pipeline document into a Bytewax dataflow.

The names of the flow and its steps are on disk in every recovery store: they never change.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from deltaforge.checkpoint.reader import DELIVERY_STEP, FLOW_ID, ROUTE_STEP, SENSING_STEP, SHARDS_STEP, SOURCE_STEP
from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.kernel import check_kernel, description, is_missing
from deltaforge.runtime.delivery import DeliverySink
from deltaforge.runtime.router import Router
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.source import LogSource

log = logging.getLogger(__name__)


def build_dataflow(pipeline: RunningPipeline, resets: Mapping[str, ResetRequest] | None = None) -> Dataflow:
    """The dataflow of one pipeline: source, sensing if it is enabled, split into lanes if there are some, delivery. One
    item is a batch.

    Args:
        pipeline: Whose parts it makes.
        resets: Of the checkpoint of a log, by shard, pending when this run began.
    """
    info, resets = pipeline.info, resets or {}
    _say_decoders()
    flow = Dataflow(FLOW_ID)
    batches = op.input(SOURCE_STEP, flow, LogSource(info, resets, pipeline.read_log))
    if info.spec.spec.schema_sensing.enabled:
        from deltaforge.runtime.sensing_step import SensingStep, TableShards, log_keys

        keys = log_keys(info)
        sharded = op.flat_map_batch(SHARDS_STEP, batches, TableShards(info.spec.shards(), keys))
        batches = op.stateful_batch(SENSING_STEP, sharded, SensingStep(info, pipeline.arrivals).logic)
        if any(key != log for log, key in keys.items()):
            logs = {key: log for log, key in keys.items()}
            batches = op.map("unplaced", batches, lambda item: (logs[item[0]], item[1]))
    if info.spec.lanes()[0].count > 1:
        batches = op.flat_map_batch(ROUTE_STEP, batches, Router(info))
    op.output(DELIVERY_STEP, batches, DeliverySink(info, resets, pipeline.deliver))
    return flow


def _say_decoders() -> None:
    check_kernel()
    if is_missing:
        log.warning("rows are decoded by %s: several times slower than by the compiled kernel", description)
    else:
        log.info("decoders: %s", description)
