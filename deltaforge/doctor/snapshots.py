"""How the tables of a document would be copied: each with its method, its chunks and what to expect."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.core.errors import DeltaForgeError
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.sources.base import BatchLimits, SnapshotConfig, SourceContext
from deltaforge.sources.snapshot.base import Kept
from deltaforge.sources.snapshot.preflight import CopySize, size_text, time_text
from deltaforge.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from deltaforge.schema.registry import TableName
    from deltaforge.sources.snapshot.base import ChunkReader, CopyableSource, TablePlan

CHECKS = {
    "snapshot.ready": Check("the tables can be copied as the server is set up", "as the message says"),
    "snapshot.table": Check("each table can be copied", "as the message says, or leave the table out of `tables`"),
    "snapshot.plan": Check(
        "it is known how the tables are copied", "`--timeout`: with many tables the catalog takes longer"
    ),
}
MAX_LISTED = 20
"""Tables that are shown one by one: the largest."""
PATIENCE_SHARE = 0.8
"""Of the time that a server may take to answer: what is known by then is said."""
_METHODS = {"ctid": "by its pages", "keyset": "by its key", "whole": "in one go, as it has no usable key"}


def is_wanted(subject: Subject) -> bool:
    """Whether the document has tables copied."""
    source = subject.spec.spec.source
    config = source.config.snapshot
    return config is not None and config.mode != "never" and hasattr(source, "chunk_reader")


def examine(subject: Subject, notes: Notes) -> None:
    """Ask the source how each table would be copied."""
    reader = _reader(subject)
    try:
        tables = notes.result_of("snapshot.ready", reader.tables)
        if tables is not None:
            _plan(subject, notes, reader, tables)
    finally:
        reader.close()


def _reader(subject: Subject) -> ChunkReader:
    spec, storage = subject.spec, MemoryStorage()
    source_id = spec.spec.source.config.id
    context = SourceContext(
        pipeline=spec.metadata.name,
        tenant=spec.metadata.tenant,
        state_dir=subject.paths.root,
        limits=BatchLimits(),
        metrics=PipelineMetrics(spec.metadata.name),
        registry=SchemaRegistry(storage.log, spec.metadata.tenant, source_id),
        failover=FailoverLog(storage.kv, source_id),
    )
    return cast("CopyableSource", spec.spec.source).chunk_reader(context)


def _plan(subject: Subject, notes: Notes, reader: ChunkReader, tables: list[TableName]) -> None:
    config = subject.spec.spec.source.config.snapshot or SnapshotConfig()
    stripes = config.max_parallel_chunks if config.intra_table_parallel else 1
    deadline = time.monotonic() + subject.patience_secs * PATIENCE_SHARE
    plans: list[TablePlan] = []
    for number, table in enumerate(tables):
        if time.monotonic() > deadline:
            notes.warn(
                "snapshot.plan", f"{len(tables) - number:,} of {len(tables):,} tables were not looked at in time"
            )
            break
        try:
            plans.append(reader.plan(table, where=None, stripe_count=stripes))
        except DeltaForgeError as error:
            notes.error("snapshot.table", f"{_name(table)}: {error.message}", error.hint)
    for plan in sorted(plans, key=lambda plan: -(plan.estimated_bytes or 0))[:MAX_LISTED]:
        notes.ok("snapshot.table", f"{_name(plan.table)}: {_METHODS[plan.method]}{_size(plan, config.chunk_size)}")
    for plan in plans:
        for warning in plan.warnings:
            notes.warn("snapshot.table", f"{_name(plan.table)}: {warning}")
    if plans:
        copied = CopySize(config)
        for plan in plans:
            copied.add(plan)
        rows = f", about {copied.row_count:,} rows" if copied.row_count else ""  # a new table has no statistics yet
        count = f"{copied.table_count:,} table{'s' * (copied.table_count != 1)}{rows}"
        expected = f"expect {time_text(copied.secs)} or less"
        notes.ok("snapshot.plan", f"{count}, {size_text(copied.byte_count)}; {expected}")
        for risk in copied.risks(notes.result_of("snapshot.plan", reader.kept) or Kept()):
            notes.warn("snapshot.plan", risk.text, risk.hint)


def _size(plan: TablePlan, chunk_size: int) -> str:
    parts = []
    if plan.method != "whole" and plan.estimated_rows is not None:
        chunks = max(1, -(-plan.estimated_rows // chunk_size))
        parts.append(f"about {chunks:,} chunk{'s' * (chunks != 1)}")
    if len(plan.stripes) > 1:
        parts.append(f"{len(plan.stripes)} at a time")
    if plan.estimated_rows is not None:
        parts.append(f"{plan.estimated_rows:,} rows")
    if plan.estimated_bytes is not None:
        parts.append(size_text(plan.estimated_bytes))
    return "".join(f", {part}" for part in parts)


def _name(table: TableName) -> str:
    return f"{table[0]}.{table[1]}"
