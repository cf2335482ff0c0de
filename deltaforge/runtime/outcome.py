"""How a pipeline process ended, written for its supervisor."""

from __future__ import annotations

from pathlib import Path

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.config.secret import redacted
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.retry import retry_of


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run: ``stopped`` as asked, or ``failed`` with the reason.

    ``retry`` is the policy of :mod:`deltaforge.core.retry`: ``backoff``, ``operator`` or ``never``. ``is_crash``: an
    exception that nobody foresaw.
    """

    status: str
    kind: str = ""
    message: str = ""
    hint: str = ""
    retry: str = "never"
    is_crash: bool = False
    at: float | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the run was stopped, and everything that it had read was acked and saved."""
        return self.status == "stopped" and not self.message

    @classmethod
    def of(cls, failure: DeltaForgeError | None, *, at: float | None = None) -> Outcome:
        """The outcome of a run that ended with ``failure``, or cleanly without one.

        Args:
            failure: Why.
            at: When, in seconds since 1970, for a leader: the first reason of all processes counts.
        """
        if isinstance(failure, ElsewhereError):
            return failure.outcome
        if failure is None or failure.kind == "cancelled":
            return cls(status="stopped", message=failure.message if failure else "")
        return cls(
            status="failed",
            kind=failure.kind,
            message=redacted(_named(failure)),
            hint=redacted(failure.hint),
            retry=retry_of(failure).value,
            is_crash=bool(failure.context.get("crash")),
            at=at,
        )

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        values = msgspec.structs.asdict(self)
        if self.at is None:
            del values["at"]
        write_durably(path, msgspec.json.encode(values))


class ElsewhereError(DeltaForgeError):
    """A run ends for what failed in another process of it.

    Args:
        outcome: Of that process.
        exit_code: Of that process, or what this one has to end with.
        at: When it failed, in seconds since 1970; None: the outcome says it.
    """

    def __init__(self, outcome: Outcome, exit_code: int, *, at: float | None = None) -> None:
        super().__init__(outcome.message, kind=outcome.kind, hint=outcome.hint)
        self.outcome = msgspec.structs.replace(outcome, at=None)
        self.exit_code = exit_code
        self.at = (outcome.at or 0.0) if at is None else at


def _named(failure: DeltaForgeError) -> str:
    """The message, with the sink in front that it is of."""
    sink = failure.context.get("sink")
    return failure.message if sink is None or f"sink {sink}" in failure.message else f"sink {sink}: {failure.message}"


def read_outcome(path: Path) -> Outcome | None:
    """The outcome of the last run; None if it left none, as after a ``kill -9``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
