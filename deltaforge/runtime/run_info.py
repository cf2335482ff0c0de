"""The facts of one run of a pipeline, which every part of it gets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from deltaforge.core.lanes import ONE_LANE, Lane
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.cluster import ALONE, Cluster
from deltaforge.runtime.ending import Ending
from deltaforge.runtime.ownership import Ownership
from deltaforge.runtime.panics import Panics
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec import PipelineSpec
from deltaforge.spec.remote import RemoteRules


@dataclass(frozen=True)
class RunInfo:
    """What a run is of. Nothing of it changes; what changes has an object of its own: ``ending``, ``ownership``.

    What reads a log or delivers a lane has the facts as they are for that: see :meth:`of_lane`.

    Attributes:
        document_sha256: Of the document's file, as its supervisor knows it.
        storage_path: Of the control plane's SQLite backend; None: there is none, see :mod:`.stored_schemas`.
        rules: Of a document that came over the network.
        starts_paused: Connect, and read nothing until it is asked for.
        is_embedded: Whether it is somebody else's Bytewax run. A failed source raises there; otherwise it ends the
            flow cleanly, which saves what was delivered, and leaves the reason in ``ending`` for our own launcher.
        lane: Whose facts they are; of the whole pipeline, and with one log and one lane: the only one.
        cluster: Which of the processes of the pipeline this is.
        panics: Told before an exception leaves our code for Bytewax; None: the standard error is not ours.
    """

    spec: PipelineSpec
    paths: PipelinePaths
    metrics: PipelineMetrics
    document_sha256: str = ""
    storage_path: Path | None = None
    rules: RemoteRules | None = None
    starts_paused: bool = False
    is_embedded: bool = False
    lane: Lane = ONE_LANE
    cluster: Cluster = ALONE
    panics: Panics | None = None
    ending: Ending = field(default_factory=Ending)
    ownership: Ownership = field(default_factory=Ownership)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_monotonic: float = field(default_factory=time.monotonic)

    def of_lane(self, lane: Lane) -> RunInfo:
        """The facts for a lane and its log: the document names the log's source, and files are the lane's own."""
        spec = self.spec.of_shard(lane.shard)
        return replace(self, spec=spec, paths=replace(self.paths, lane=lane), lane=lane)

    def logs(self) -> dict[str, RunInfo]:
        """The facts for each log, as for its first lane, by shard."""
        found: dict[str, RunInfo] = {}
        for lane in self.spec.lanes():
            if lane.shard not in found:
                found[lane.shard] = self.of_lane(lane)
        return found

    @property
    def socket_path(self) -> Path:
        """The control socket of this process."""
        return self.paths.member_socket(self.cluster.process)

    @property
    def outcome_path(self) -> Path:
        """Where this process leaves how it ended."""
        return self.paths.member_outcome(self.cluster.process)

    @property
    def is_whole(self) -> bool:
        """Whether all logs and lanes are known to be in this process."""
        return self.cluster.processes == 1 and not self.is_embedded

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.spec.metadata.name

    @property
    def tenant(self) -> str:
        """``metadata.tenant``."""
        return self.spec.metadata.tenant

    @property
    def source_id(self) -> str:
        """``spec.source.config.id``."""
        return self.spec.spec.source.config.id
