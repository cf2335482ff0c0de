"""What operators may do with the snapshots of a running pipeline."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from deltaforge.checkpoint.snapshot_requests import SnapshotRequest

SnapshotChange = Literal["pause", "resume", "cancel"]
STATUS_AFTER: dict[SnapshotChange, Literal["paused", "running", "cancelled"]] = {
    "pause": "paused",
    "resume": "running",
    "cancel": "cancelled",
}


class SnapshotControl(Protocol):
    """The jobs of the source that is read in this process. From any thread. Jobs are shown as
    :func:`~deltaforge.core.snapshot_view.job_view` makes them.
    """

    def views(self) -> list[dict[str, Any]]:
        """All jobs: those that are not over in their order, then the others, the newest first."""

    def request(self, request: SnapshotRequest) -> dict[str, Any]:
        """Copy tables; the request is on disk when this returns. One that is known already is not asked for twice.

        Raises:
            SpecError: No captured table is meant, a sink is not there, or ``where`` is not understood; with the path.
            ControlError: This source cannot be copied, or it is not connected.
        """

    def change(self, job_id: str, change: SnapshotChange) -> dict[str, Any]:
        """Pause, resume or cancel a job, which is on disk when this returns; what it is already stays as it is.

        Raises:
            NotFoundError: There is no such job.
            ControlError: It is over, or a restart would not know it.
            CheckpointError: The change cannot be written.
        """
