"""The snapshots of all logs that are read in this process, as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltaforge.checkpoint.snapshot_requests import SnapshotRequest
from deltaforge.core.errors import NotFoundError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.runtime.snapshot_control import SnapshotChange, SnapshotControl


class LogSnapshots:
    """What operators may do with them. Jobs of shards say whose they are.

    Args:
        logs: Those of each log, by shard.
    """

    def __init__(self, logs: Mapping[str, SnapshotControl]) -> None:
        self._logs = logs

    def views(self) -> list[dict[str, Any]]:
        return [_said(view, shard) for shard, log in self._logs.items() for view in log.views()]

    def request(self, request: SnapshotRequest, shard: str = ONE_LOG) -> dict[str, Any]:
        if shard not in self._logs:
            raise NotFoundError(f"shard {shard[:64]!r} is not read in this process")
        return _said(self._logs[shard].request(request), shard)

    def change(self, job_id: str, change: SnapshotChange) -> dict[str, Any]:
        for shard, log in self._logs.items():
            if any(view["id"] == job_id for view in log.views()):
                return _said(log.change(job_id, change), shard)
        raise NotFoundError(f"there is no snapshot {job_id[:64]!r}")


def _said(view: dict[str, Any], shard: str) -> dict[str, Any]:
    return {**view, "shard": shard} if shard else view
