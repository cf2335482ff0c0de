"""Saved states of parts that the document does not have now: a shard that was removed, lanes that are fewer.

Bytewax refuses to run if its recovery store knows a partition that nobody names. So they are named: such a partition
ends at once and keeps its state, and what comes back goes on there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from bytewax.inputs import StatefulSourcePartition
from bytewax.outputs import StatefulSinkPartition

from deltaforge.checkpoint.reader import saved_keys
from deltaforge.core.batch import Batch
from deltaforge.core.errors import ProtocolError
from deltaforge.runtime.crossing import PackedBatch


def resting_keys(recovery_dir: Path, step: str, present: Iterable[str]) -> list[str]:
    """The keys of a step that are saved, and not present in this run.

    Raises:
        CheckpointError: The store cannot be read.
    """
    return sorted(saved_keys(recovery_dir, step).difference(present))


class RestingSource(StatefulSourcePartition[tuple[str, Batch], bytes | None]):
    """The state of a log that is not read in this run."""

    def __init__(self, state: bytes | None) -> None:
        self._state = state

    def next_batch(self) -> NoReturn:
        raise StopIteration

    def snapshot(self) -> bytes | None:
        return self._state


class RestingSink(StatefulSinkPartition[Batch | PackedBatch, bytes | None]):
    """The state of a lane that gets nothing in this run."""

    def __init__(self, state: bytes | None) -> None:
        self._state = state

    def write_batch(self, items: list[Batch | PackedBatch]) -> NoReturn:
        raise ProtocolError(f"{len(items)} batches came to a lane that the document does not have")

    def snapshot(self) -> bytes | None:
        return self._state
