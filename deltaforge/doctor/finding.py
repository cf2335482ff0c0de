"""What an examination notes: findings, each with its remedy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

from deltaforge.core.errors import DeltaForgeError, unforeseen
from deltaforge.core.positions import Position
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec import PipelineSpec

T = TypeVar("T")


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """The pipeline runs, and something may be missing, slow or lost one day."""
    ERROR = "error"
    """The pipeline does not start, or does not deliver."""


class Finding(msgspec.Struct, frozen=True):
    """One check and what it found.

    Attributes:
        level: How bad it is.
        check: Which check, as ``docs/doctor.md`` lists them.
        what: What was found.
        where: The part of the document, and the address it names.
        remedy: The command or setting that mends it; empty if nothing has to be mended.
    """

    level: Level
    check: str
    what: str
    where: str
    remedy: str = ""


class Check(msgspec.Struct, frozen=True):
    """A check, for ``docs/doctor.md``: what is right, and what mends it."""

    right: str
    remedy: str


@dataclass(frozen=True)
class Subject:
    """The pipeline that is examined.

    Attributes:
        spec: Its document, with what the environment says.
        paths: Of its state.
        position: Where its source continues; None before the first start.
        is_running: Whether a process of this machine runs it now.
        clock: Seconds since 1970.
        patience_secs: How long one server may take to answer.
        log_count: Logs of the pipeline that this server has, if it is the subject as one of its shards.
    """

    spec: PipelineSpec
    paths: PipelinePaths
    position: Position | None
    is_running: bool
    clock: Callable[[], float]
    patience_secs: float
    log_count: int = 1


class Notes:
    """The findings of one part of the document. Written by one thread, read by another at any time.

    Args:
        where: For every finding.
        checks: Those that may be noted.
    """

    def __init__(self, where: str, checks: Mapping[str, Check]) -> None:
        self.where = where
        self._checks = checks
        self._found: list[Finding] = []
        self._lock = threading.Lock()
        self.is_done = False

    @property
    def findings(self) -> list[Finding]:
        """What was noted up to now."""
        with self._lock:
            return list(self._found)

    def ok(self, check: str, what: str) -> None:
        """Something is as it should be."""
        self._add(Level.OK, check, what, "")

    def warn(self, check: str, what: str, remedy: str = "") -> None:
        """Something may be missing, slow or lost one day."""
        self._add(Level.WARNING, check, what, remedy)

    def error(self, check: str, what: str, remedy: str = "") -> None:
        """The pipeline does not start, or does not deliver."""
        self._add(Level.ERROR, check, what, remedy)

    @contextmanager
    def of(self, check: str) -> Iterator[None]:
        """Around a check that raises what is wrong: it is noted, and the examination goes on behind the block."""
        try:
            yield
        except DeltaForgeError as error:
            self.error(check, error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - a check that fails must not hide the others
            self.error(check, f"the check itself failed: {unforeseen(error)}")

    def result_of(self, check: str, ask: Callable[[], T]) -> T | None:
        """What a question is answered; None after an error, which is noted."""
        with self.of(check):
            return ask()
        return None

    def _add(self, level: Level, check: str, what: str, remedy: str) -> None:
        with self._lock:
            known = self._checks[check]
            self._found.append(
                Finding(level, check, what, self.where, "" if level is Level.OK else remedy or known.remedy)
            )
