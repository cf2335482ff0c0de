"""Snapshot jobs as REST, the command line and the control socket show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy


def job_view(
    job: SnapshotJob,
    *,
    rows_per_second: float | None = None,
    eta_seconds: float | None = None,
    waiting_for: str | None = None,
    waiting_seconds: float | None = None,
) -> dict[str, Any]:
    """A job as plain JSON values.

    Args:
        job: As it stands now.
        rows_per_second: Of the last half minute; None: nothing is read.
        eta_seconds: Until its end at that rate; None: nobody knows.
        waiting_for: What on the server its next chunk waits for, in words.
        waiting_seconds: For how long.
    """
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "requested_at": _time(job.requested_ms),
        "began_at": _time(job.began_ms),
        "ended_at": _time(job.ended_ms),
        "where": job.where,
        "sinks": None if job.sinks is None else list(job.sinks),
        "max_rows_per_second": job.max_rows_per_second,
        "truncate_first": job.truncate_first,
        "rows": sum(table.row_count for table in job.tables),
        "bytes": sum(table.byte_count for table in job.tables),
        "fraction": round(job_fraction(job), 4),
        "rows_per_second": None if rows_per_second is None else round(rows_per_second, 1),
        "eta_seconds": None if eta_seconds is None else round(eta_seconds, 1),
        "waiting_for": waiting_for,
        "waiting_seconds": None if waiting_seconds is None else round(waiting_seconds, 1),
        "error": job.error,
        "tables": [_table_view(table) for table in job.tables],
    }


def state_views(state: SnapshotState | None) -> list[dict[str, Any]]:
    """The jobs of a saved state: those that are not over in their order, then the others, the newest first."""
    if state is None:
        return []
    return [job_view(job) for job in (*state.jobs, *reversed(state.ended))]


def job_fraction(job: SnapshotJob) -> float:
    """About how much of a job is done, from 0 to 1: tables count by their rows, as far as those are known."""
    if job.status == "completed":
        return 1.0
    weights = [max(table.estimated_rows or 0, table.row_count, 1) for table in job.tables]
    done = sum(weight * _fraction(table) for weight, table in zip(weights, job.tables, strict=True))
    return done / sum(weights) if weights else 0.0


def _table_view(table: TableCopy) -> dict[str, Any]:
    return {
        "name": f"{table.schema}.{table.name}",
        "status": table.status,
        "method": table.method if table.plan or table.status == "completed" else None,
        "rows": table.row_count,
        "bytes": table.byte_count,
        "chunks": table.chunk_count,
        "dropped_rows": table.dropped_count,
        "reread_rows": table.reread_count,
        "estimated_rows": table.estimated_rows,
        "fraction": round(_fraction(table), 4),
        "error": table.error,
    }


def _fraction(table: TableCopy) -> float:
    return 1.0 if table.status == "completed" else min(max(table.fraction, 0.0), 1.0)


def _time(ms: int) -> str | None:
    if not ms:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
