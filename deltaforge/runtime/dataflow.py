"""Compiles a pipeline document into a Bytewax dataflow.

The names of the flow and its steps are on disk in every recovery store: they never change.
"""

from __future__ import annotations

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from deltaforge.checkpoint.reader import DELIVERY_KEY, DELIVERY_STEP, FLOW_ID, SENSING_STEP, SOURCE_STEP
from deltaforge.core.batch import Batch
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.delivery import DeliverySink
from deltaforge.runtime.sensing import SensingLogic
from deltaforge.runtime.source import LogSource


def build_dataflow(context: PipelineContext) -> Dataflow:
    """The dataflow of one pipeline: source, sensing if it is enabled, delivery. One item is a batch."""
    # Here, because it imports the source's package: two threads that import it at a time may see it half loaded.
    context.tables = context.spec.spec.source.table_codec(context.name, context.spec.metadata.tenant)
    flow = Dataflow(FLOW_ID)
    batches = op.input(SOURCE_STEP, flow, LogSource(context))
    keyed = op.map("key", batches, _keyed)
    if context.spec.spec.schema_sensing.enabled:
        keyed = op.stateful_batch(SENSING_STEP, keyed, lambda state: SensingLogic(context, state))
    op.output(DELIVERY_STEP, keyed, DeliverySink(context))
    return flow


def _keyed(batch: Batch) -> tuple[str, Batch]:
    return DELIVERY_KEY, batch
