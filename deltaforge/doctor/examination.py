"""One examination: every part of a document in a thread of its own, for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from deltaforge.checkpoint.reader import read_source_states, source_key
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.core.positions import Position
from deltaforge.doctor import files, kafka, machine, mysql, postgres, redis, schema_registry, snapshots, standard_output
from deltaforge.doctor.finding import Check, Finding, Notes, Subject
from deltaforge.encodings.registry_settings import RegistrySettings
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec import ParsedDocument
from deltaforge.storage.file_lock import holder_of

SOURCES: Mapping[str, ModuleType] = {"mysql": mysql, "postgres": postgres}
SINKS: Mapping[str, ModuleType] = {"kafka": kafka, "redis": redis, "file": files, "stdout": standard_output}
"""What examines which type: a module with ``CHECKS``, ``where(config)`` and ``examine(subject, config, notes)``."""

PATIENCE_SECS = 20.0
_OVERTIME = 1.5
"""How much longer a whole part may take: what one server says late is still said."""
TIME = {
    "time": Check("everything answers in time", "see what keeps the server: load, locks, the network; or `--timeout`")
}


def all_checks() -> dict[str, Check]:
    """Every check there is, by name."""
    modules = [machine, *SOURCES.values(), snapshots, *SINKS.values(), schema_registry]
    return {name: check for module in modules for name, check in module.CHECKS.items()} | TIME


def examine(
    document: ParsedDocument,
    state_dir: Path,
    *,
    clock: Callable[[], float] = time.time,
    patience_secs: float = PATIENCE_SECS,
) -> list[Finding]:
    """Examine everything that a pipeline needs.

    Args:
        document: Of the pipeline.
        state_dir: Of the engine; may not exist.
        clock: Seconds since 1970.
        patience_secs: How long one server may take to answer.
    """
    paths = PipelinePaths(state_dir, document.spec.metadata.name)
    spec = document.spec
    here = Notes(f"document {spec.metadata.name}", {**machine.CHECKS, **TIME})
    positions = _saved(paths, here)
    first = positions.get(source_key(ONE_LOG))
    subject = Subject(spec, paths, first, holder_of(paths.lock) is not None, clock, patience_secs)
    logs = [
        replace(
            subject, spec=spec.of_shard(shard), paths=paths.of_log(shard), position=positions.get(source_key(shard))
        )
        for shard in spec.shards()
    ]
    logs = _counted(logs)
    parts = [
        *(part for log in logs for part in _source(log)),
        *(_part("sink", SINKS[sink.type], sink.config, subject) for sink in spec.spec.sinks),
        *(
            _part("registry of", schema_registry, sink.config, subject)
            for sink in spec.spec.sinks
            if _asks(sink.config)
        ),
    ]
    unknown = [text for text in document.warnings if "environment variable" not in text]
    _together(
        [(here, lambda: machine.examine(subject, document.raw, unknown, here)), *parts], patience_secs * _OVERTIME
    )
    return [finding for notes, _ in [(here, None), *parts] for finding in notes.findings]


def _asks(config: Any) -> bool:
    return isinstance(getattr(config, "encoding", None), RegistrySettings)


def _saved(paths: PipelinePaths, notes: Notes) -> dict[str, Position]:
    """Where each log goes on."""
    with notes.of("state.saved"):
        return {key: state.position for key, state in read_source_states(paths.recovery).items()}
    return {}


def _counted(logs: list[Subject]) -> list[Subject]:
    """Each with the number of them that are on its server."""
    if len(logs) == 1:
        return logs
    addresses = [_address(SOURCES[log.spec.spec.source.type], log.spec.spec.source.config) for log in logs]
    return [replace(log, log_count=addresses.count(address)) for log, address in zip(logs, addresses, strict=True)]


def _address(module: ModuleType, config: Any) -> str:
    try:
        return str(module.where(config))
    except DeltaForgeError:  # the same error, with its remedy, comes of connecting
        return "an address that cannot be read"


def _source(log: Subject) -> Iterator[tuple[Notes, Callable[[], None]]]:
    source = log.spec.spec.source
    yield _part("source", SOURCES[source.type], source.config, log)
    if snapshots.is_wanted(log):
        yield _copy(source.config, log)


def _part(kind: str, module: ModuleType, config: Any, subject: Subject) -> tuple[Notes, Callable[[], None]]:
    notes = Notes(f"{kind} {config.id} ({_address(module, config)})", {**module.CHECKS, **TIME})
    return notes, lambda: module.examine(subject, config, notes)


def _copy(config: Any, subject: Subject) -> tuple[Notes, Callable[[], None]]:
    notes = Notes(f"snapshot of {config.id}", {**snapshots.CHECKS, **TIME})
    return notes, lambda: snapshots.examine(subject, notes)


def _together(parts: list[tuple[Notes, Callable[[], None]]], secs: float) -> None:
    """Run all of them at the same time; what is not done in time is noted, and left behind."""

    def run(notes: Notes, part: Callable[[], None]) -> None:
        with notes.of("time"):
            part()
        notes.is_done = True

    threads = [
        threading.Thread(target=run, args=part, name=f"doctor-{number}", daemon=True)
        for number, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + secs
    for thread, (notes, _) in zip(threads, parts, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if not notes.is_done:
            notes.error("time", f"no answer within {secs:.0f} s", "")
