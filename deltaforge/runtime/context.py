"""What the parts of one running pipeline share inside their process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deltaforge.core.errors import ControlError, DeltaForgeError, SpecError
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deltaforge.checkpoint.reset import ResetRequest
    from deltaforge.checkpoint.spooled_batch import TableCodec
    from deltaforge.runtime.delivery import Delivery
    from deltaforge.sources.reader import LogReader
    from deltaforge.spec import PipelineSpec
    from deltaforge.spec.remote import RemoteRules


STOP_SECS = 10.0
"""How long a stop takes at most, unless :data:`STOP_VARIABLE` says otherwise."""
STOP_VARIABLE = "DELTAFORGE_STOP_SECS"
CLOSE_SECS = 2.0
"""The part of it that is kept for the end."""
THREADS_SECS = 1.5
"""How long the threads of source and sinks get to end, all together; also after a failure."""


def stop_secs_of(environment: Mapping[str, str]) -> float:
    """How long a stop may take.

    Raises:
        SpecError: The variable is no number of seconds above :data:`CLOSE_SECS`.
    """
    text = environment.get(STOP_VARIABLE) or str(STOP_SECS)
    try:
        secs = float(text)
    except ValueError:
        secs = 0.0
    if not CLOSE_SECS < secs < float("inf"):
        raise SpecError(f"{STOP_VARIABLE} is a number of seconds above {CLOSE_SECS:g}, not {text!r}")
    return secs


@dataclass
class PipelineContext:
    """Shared by the source, the delivery and the control socket of one process.

    With one process, both ``reader`` and ``delivery`` are set once the dataflow runs. With several
    processes each is set only where Bytewax placed the partition.

    Attributes:
        stopping: Set once; the source then ends at the next transaction end.
        stop_grace_secs: How long a stop waits for sinks that do not answer, before :data:`CLOSE_SECS`.
        failure: Why the pipeline ends, if it does not end because it was told to.
        start_saved: Set when the position that this run started from is in the recovery store.
        is_embedded: Whether it is somebody else's Bytewax run. A failed source raises there; otherwise it ends the
            flow cleanly, which saves what was delivered, and leaves the reason in ``failure`` for our own launcher.
        tap: Shows what passes to whoever listens.
        tables: Packs the captured tables of what waits on disk for a sink; set when the dataflow is built.
        reset: Of the checkpoint, pending when this run began. Carried out already if a state holds its id.
        before_raising: Called when an exception is about to leave our code for Bytewax; see :mod:`.panics`.
        check_owner: Raises if another process owns the pipeline now: nothing may be written or saved any more.
        rules: Of a document that came over the network.
        storage_path: Of the control plane's SQLite backend, if there is one; see :mod:`deltaforge.runtime.learned`.
        lock_descriptor: Of the lock file, held already: by the control plane that made this process. None: it is not.
    """

    spec: PipelineSpec
    paths: PipelinePaths
    metrics: PipelineMetrics
    document_sha256: str = ""
    stop_grace_secs: float = STOP_SECS - CLOSE_SECS
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_monotonic: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    start_saved: threading.Event = field(default_factory=threading.Event)
    failure: DeltaForgeError | None = None
    reader: LogReader | None = None
    delivery: Delivery | None = None
    tables: TableCodec = field(init=False)
    tap: Tap = field(init=False)
    storage_path: Path | None = None
    rules: RemoteRules | None = None
    lock_descriptor: int | None = None
    starts_paused: bool = False
    is_embedded: bool = False
    reset: ResetRequest | None = None
    check_owner: Callable[[], None] = lambda: None
    before_raising: Callable[[], None] = lambda: None
    _stop_at: float | None = None
    _threads_until: float | None = None

    def __post_init__(self) -> None:
        self.tap = Tap(self.metrics)

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.spec.metadata.name

    @property
    def stop_secs(self) -> float:
        """How long a stop takes at most."""
        return self.stop_grace_secs + CLOSE_SECS

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

    def close(self) -> None:
        """End the threads of the parts that Bytewax has not closed: it closes none after an exception."""
        if self.delivery is not None:
            self.delivery.begin_close()
        if self.reader is not None:
            self.reader.close(self.threads_secs())
        if self.delivery is not None:
            self.delivery.close()
        self.tap.close()

    def threads_secs(self) -> float:
        """How much of :data:`THREADS_SECS` is left, which the first call begins."""
        now = time.monotonic()
        if self._threads_until is None:
            self._threads_until = now + THREADS_SECS
        return max(0.0, self._threads_until - now)

    def fail(self, error: DeltaForgeError) -> None:
        """Note why the pipeline ends. The first reason stays."""
        if self.failure is None:
            self.failure = error
