"""Events of a log that a source refuses to go past, and those that an operator has let pass.

A source that refuses an event notes it: ``held.json`` in the pipeline's folder. The operator answers with its position
and a reason, which goes to ``skips.jsonl``. From then on the source goes past that event, and past no other: position,
server and the bytes of the event must be the same. The line stays, so a replay after a crash goes past it again.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from deltaforge.checkpoint.durable import sync_folder, write_durably
from deltaforge.core.errors import CheckpointError, ControlError, SpecError

_HELD, _SKIPS = "held.json", "skips.jsonl"


class HeldEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a source refuses.

    Attributes:
        position: Where it ends, as an operator writes it: ``{"file": …, "pos": …}``.
        server: Whose log it is.
        digest: SHA-256 of the event's content; see :func:`digest_of`.
        what: The event for a reader: no values of rows.
        tables: Tables that it may change, if they are known.
        why: Why it is refused.
    """

    position: dict[str, Any]
    server: str
    digest: str
    what: str
    tables: list[str] = []
    why: str = ""

    def view(self) -> dict[str, Any]:
        """What is shown of it."""
        return {"position": self.position, "event": self.what, "tables": self.tables, "error": self.why}


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """An event that an operator has let pass, with the reason."""

    event: HeldEvent
    reason: str
    asked_at: str
    v: int = 1

    def view(self) -> dict[str, Any]:
        """What is shown of it."""
        return {**self.event.view(), "reason": self.reason, "asked_at": self.asked_at}


_held = msgspec.json.Decoder(HeldEvent)
_skip = msgspec.json.Decoder(Skip)


def digest_of(content: bytes) -> str:
    """What tells an event from another one that stands at the same place of another log."""
    return hashlib.sha256(content).hexdigest()


class Skips:
    """The two files of one pipeline.

    Args:
        folder: Of the pipeline.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, event: HeldEvent) -> Skip | None:
        """What lets an event pass; None: nothing does.

        Raises:
            CheckpointError: The file cannot be read.
        """
        identity = event.position, event.server, event.digest
        for skip in self.all():
            if (skip.event.position, skip.event.server, skip.event.digest) == identity:
                return skip
        return None

    def all(self) -> list[Skip]:
        """What was let pass, the oldest first.

        Raises:
            CheckpointError: The file cannot be read.
        """
        try:
            data = (self._folder / _SKIPS).read_bytes()
            return [_skip.decode(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as exc:
            raise CheckpointError(f"{_SKIPS} cannot be read: {exc}") from exc

    def held(self) -> HeldEvent | None:
        """The event that the source stands at; None if it goes on, or ended for another reason."""
        try:
            return _held.decode((self._folder / _HELD).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            raise CheckpointError(f"{_HELD} cannot be read: {exc}", hint="resume the pipeline to find out") from exc

    def hold(self, event: HeldEvent) -> None:
        """Note that the source stands at an event. Durable when this returns."""
        write_durably(self._folder / _HELD, msgspec.json.encode(event))

    def go_on(self) -> None:
        """The source reads again: it stands nowhere as far as anybody knows."""
        (self._folder / _HELD).unlink(missing_ok=True)

    def add(self, body: Any) -> Skip:
        """Let the event pass that the source stands at. Durable when this returns.

        Args:
            body: ``{"position": …, "reason": text}``, as over REST.

        Raises:
            SpecError: Not a body of this shape.
            ControlError: The source does not stand at that event.
        """
        position, reason = _checked(body)
        held = self.held()
        if held is None:
            raise ControlError("no event holds the pipeline up", hint="resume it, and look at it again if it fails")
        if held.position != position:
            raise ControlError(f"the pipeline stands at {held.position}, not at {position}")
        skip = Skip(event=held, reason=reason, asked_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if self.of(held) is None:
            self._append(skip)
        return skip

    def _append(self, skip: Skip) -> None:
        path = self._folder / _SKIPS
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb+") as file:
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)  # a torn last line
            file.seek(0, os.SEEK_END)
            file.write(msgspec.json.encode(skip) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)


def _checked(body: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(body, dict) or set(body) != {"position", "reason"}:
        raise SpecError("expected an object with the keys `position` and `reason`")
    position, reason = body["position"], body["reason"]
    if not isinstance(position, dict):
        raise SpecError("expected the position of an event", path="position", hint='such as {"file": …, "pos": …}')
    if not isinstance(reason, str) or not reason.strip():
        raise SpecError("expected a text", path="reason", hint="say why the event may be left out")
    return position, reason.strip()
