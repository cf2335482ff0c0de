"""What the parts of one running pipeline share inside their process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.paths import PipelinePaths

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltaforge.checkpoint.reset import ResetRequest
    from deltaforge.checkpoint.spooled_batch import TableCodec
    from deltaforge.runtime.delivery import Delivery
    from deltaforge.sources.reader import LogReader
    from deltaforge.spec import PipelineSpec


@dataclass
class PipelineContext:
    """Shared by the source, the delivery and the control socket of one process.

    With one process, both ``reader`` and ``delivery`` are set once the dataflow runs. With several
    processes each is set only where Bytewax placed the partition.

    Attributes:
        stopping: Set once; the source then ends at the next transaction end.
        stop_grace_secs: How long a stop waits for sinks that do not answer.
        failure: Why the pipeline ends, if it does not end because it was told to.
        start_saved: Set when the position that this run started from is in the recovery store.
        is_embedded: Whether it is somebody else's Bytewax run. A failed source raises there; otherwise it ends the
            flow cleanly, which saves what was delivered, and leaves the reason in ``failure`` for our own launcher.
        tables: Packs the captured tables of what waits on disk for a sink; set when the dataflow is built.
        reset: Of the checkpoint, pending when this run began. Carried out already if a state holds its id.
        check_owner: Raises if another process owns the pipeline now: nothing may be written or saved any more.
        storage_path: Of the control plane's SQLite backend, if there is one; see :mod:`deltaforge.runtime.learned`.
    """

    spec: PipelineSpec
    paths: PipelinePaths
    metrics: PipelineMetrics
    document_sha256: str = ""
    stop_grace_secs: float = 30.0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_monotonic: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    start_saved: threading.Event = field(default_factory=threading.Event)
    failure: DeltaForgeError | None = None
    reader: LogReader | None = None
    delivery: Delivery | None = None
    tables: TableCodec = field(init=False)
    storage_path: Path | None = None
    starts_paused: bool = False
    is_embedded: bool = False
    reset: ResetRequest | None = None
    check_owner: Callable[[], None] = lambda: None
    _stop_at: float | None = None

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.spec.metadata.name

    def stop(self) -> None:
        """Ask for a drain, a last save, and the end. Safe in a signal handler; may be called again."""
        if self._stop_at is None:
            self._stop_at = time.monotonic()
        self.stopping.set()

    def set_paused(self, *, is_paused: bool) -> None:
        """Stop or go on reading. The connection, keepalives and epochs go on either way.

        Raises:
            ControlError: The source runs in another process of the cluster.
        """
        if self.reader is None:
            raise ControlError("the source is not in this process", hint="ask the process that reads the log")
        if is_paused:
            self.reader.pause()
        else:
            self.reader.resume()

    def reload_schemas(self, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
        """Read table definitions from the source's catalog again; see :meth:`LogReader.reload`.

        Raises:
            ControlError: The source runs in another process of the cluster, or is not connected.
        """
        if self.reader is None:
            raise ControlError("the source is not in this process", hint="ask the process that reads the log")
        return [msgspec.structs.asdict(table) for table in self.reader.reload(tables)]

    def is_grace_over(self) -> bool:
        """Whether a stop was asked for longer ago than the grace allows."""
        return self._stop_at is not None and time.monotonic() - self._stop_at > self.stop_grace_secs

    def fail(self, error: DeltaForgeError) -> None:
        """Note why the pipeline ends. The first reason stays."""
        if self.failure is None:
            self.failure = error
