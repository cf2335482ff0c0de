"""The other processes of a pipeline, asked over their control sockets. Of processes on other machines nobody hears."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deltaforge.runtime.run_info import RunInfo

log = logging.getLogger(__name__)

ANSWER_SECS = 3.0
AGAIN_SECS = 0.1
MAX_AT_A_TIME = 8


class Peers:
    """Those of the pipeline whose run ``info`` is of, without this process, on this machine."""

    def __init__(self, info: RunInfo) -> None:
        self._sockets = [info.paths.member_socket(number) for number in info.cluster.near]

    def __len__(self) -> int:
        return len(self._sockets)

    def ask(self, request: dict[str, Any], *, answer_secs: float = ANSWER_SECS) -> list[dict[str, Any] | None]:
        """Ask all of them at a time. A peer answers for itself alone, and does not ask on.

        Args:
            request: As to a control socket.
            answer_secs: How long to wait for each.

        Returns:
            The answer of each, in the order of their numbers; None: it does not answer, or is not there yet.
        """
        askers = self.askers(answer_secs=answer_secs)
        if len(askers) < 2:
            return [ask(request) for ask in askers]
        with ThreadPoolExecutor(min(MAX_AT_A_TIME, len(askers)), "peers") as pool:
            return [*pool.map(lambda ask: ask(request), askers)]

    def askers(self, *, answer_secs: float = ANSWER_SECS) -> list[Callable[[dict[str, Any]], dict[str, Any] | None]]:
        """What asks one of them, for each."""
        return [partial(_asked, path, answer_secs) for path in self._sockets]

    def sockets(self) -> list[Path]:
        """Where they can be asked."""
        return [*self._sockets]


def _asked(path: Path, answer_secs: float, request: dict[str, Any]) -> dict[str, Any] | None:
    line = msgspec.json.encode({**request, "alone": True}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(answer_secs)
            client.connect(str(path))
            client.sendall(line)
            with client.makefile("rb") as answer:
                return msgspec.json.decode(answer.readline(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        log.debug("process at %s does not answer: %s", path.name, error)
        return None
