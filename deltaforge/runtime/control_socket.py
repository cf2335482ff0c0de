"""The control socket of a pipeline process: one JSON request per line, one JSON answer per line.

Requests: ``{"cmd": "status" | "pause" | "resume" | "stop" | "metrics" | "log_level" | "reload_schemas" |
"retry_dead_letters" | "snapshot" | "snapshots" | "snapshot_pause" | "snapshot_resume" | "snapshot_cancel"}``.
With several processes each has a socket. Any of them answers for all; with ``"alone": true`` for itself.
After the answer to ``{"cmd": "tail"}`` the events follow that pass, see
:mod:`deltaforge.runtime.tap`, until the connection is closed. The socket is a Unix one that only the owner can open.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from deltaforge.checkpoint.snapshot_requests import SnapshotRequest
from deltaforge.config.secret import redacted
from deltaforge.core.errors import DeltaForgeError, NotFoundError, SpecError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.observability.logging import set_level
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.snapshot_control import SnapshotChange
from deltaforge.runtime.status import metrics_text, part_of, status
from deltaforge.runtime.tap import Listener, TailRequest

if TYPE_CHECKING:
    from deltaforge.runtime.cluster_answers import ClusterAnswers
    from deltaforge.runtime.cluster_tail import ClusterListener

log = logging.getLogger(__name__)

_CHANGES: dict[str, SnapshotChange] = {
    "snapshot_pause": "pause",
    "snapshot_resume": "resume",
    "snapshot_cancel": "cancel",
}
_SNAPSHOT_COMMANDS = {"snapshot", "snapshots", "chunks_ahead", *_CHANGES}
STALLED_SECS = 30.0
"""A reader of events that takes nothing for so long is sent away."""


class _Handler(socketserver.StreamRequestHandler):
    server: ControlSocket

    def handle(self) -> None:
        for line in self.rfile:
            answer, listener = self.server.answer(line)
            try:
                self.wfile.write(msgspec.json.encode(answer) + b"\n")
                if listener is not None:
                    self._tail(listener)
                    return
            finally:
                if listener is not None:
                    listener.close()

    def _tail(self, listener: Listener | ClusterListener) -> None:
        """Send what passes until it ends, or the reader has left or reads nothing for long."""
        self.connection.settimeout(STALLED_SECS)
        with suppress(OSError):
            for line in listener.lines():
                if line:
                    self.connection.sendall(line)
                elif self._has_left():
                    return

    def _has_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)


class ControlSocket(socketserver.ThreadingUnixStreamServer):
    """Serves one pipeline until :meth:`close`."""

    daemon_threads = True

    def __init__(self, pipeline: RunningPipeline) -> None:
        self._pipeline = pipeline
        self._path = pipeline.info.socket_path
        self._path.unlink(missing_ok=True)
        self._cluster: ClusterAnswers | None = None
        if pipeline.info.cluster.processes > 1:
            from deltaforge.runtime.cluster_answers import ClusterAnswers

            self._cluster = ClusterAnswers(pipeline.info, self._answer_alone)
        old_mask = os.umask(0o177)
        try:
            super().__init__(str(self._path), _Handler)
        finally:
            os.umask(old_mask)
        threading.Thread(target=self.serve_forever, args=(0.2,), name="control-socket", daemon=True).start()

    def answer(self, line: bytes) -> tuple[dict[str, Any], Listener | ClusterListener | None]:
        """The answer to one request line, and whom the events follow to, if it asks for them. Never raises."""
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            is_alone = self._cluster is None or request.get("alone")
            if request.get("cmd") == "tail":
                return {"ok": True}, self._listener(request, is_alone=bool(is_alone))
            if self._cluster is not None and not is_alone:
                return self._cluster.answer(request), None
            return self._answer_alone(request), None
        except (msgspec.MsgspecError, DeltaForgeError, ValueError) as error:
            return _refusal(error), None

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self.shutdown()
        self.server_close()
        self._path.unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        log.debug("control client went away: %s", sys.exc_info()[1])

    def _answer_alone(self, request: dict[str, Any]) -> dict[str, Any]:
        """What this process answers for itself; never raises."""
        try:
            return {"ok": True, **self._run(request)}
        except (msgspec.MsgspecError, DeltaForgeError, ValueError) as error:
            return _refusal(error)

    def _listener(self, request: dict[str, Any], *, is_alone: bool) -> Listener | ClusterListener:
        wanted = msgspec.convert(request.get("request"), TailRequest)
        if is_alone or self._cluster is None:
            return self._pipeline.tap.open(wanted)
        return self._cluster.listen(self._pipeline.tap.open(wanted), wanted)

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        pipeline, command = self._pipeline, request.get("cmd")
        if command == "status":
            return status(pipeline) if self._cluster is None else {**status(pipeline), **part_of(pipeline)}
        if command == "metrics":
            return {"metrics": metrics_text(pipeline)}
        if command == "reload_schemas":
            return {"tables": pipeline.reload_schemas(_tables(request.get("tables")))}
        if command == "retry_dead_letters":
            return {"entries": pipeline.retry_dead_letters(request)}
        if command in _SNAPSHOT_COMMANDS:
            return _snapshot(pipeline, str(command), request)
        if command == "stop":
            if not pipeline.info.ending.is_stopping:
                log.info("stopping: up to %g s", pipeline.info.ending.stop_secs)
            pipeline.info.ending.stop()
        elif command == "log_level":
            set_level(str(request.get("level", "")))
        elif command in {"pause", "resume"}:
            _set_paused(pipeline, request.get("shard"), is_paused=command == "pause")
        else:
            raise ValueError(f"unknown command {command!r}")
        return {}


def _set_paused(pipeline: RunningPipeline, shard: Any, *, is_paused: bool) -> None:
    if shard is None:
        pipeline.set_paused(is_paused=is_paused)
    else:
        pipeline.set_shard_paused(str(shard), is_paused=is_paused)


def _snapshot(pipeline: RunningPipeline, command: str, request: dict[str, Any]) -> dict[str, Any]:
    """Snapshots: ask for one, list them, pause, resume or cancel one."""
    if command == "chunks_ahead":  # of another process of the pipeline
        return {"lanes": pipeline.chunks_ahead(str(request.get("shard") or ONE_LOG))}
    snapshots = pipeline.snapshots
    if command == "snapshots":
        return {"jobs": snapshots.views()}
    if command == "snapshot":
        asked = msgspec.convert(request.get("request"), SnapshotRequest)
        return {"job": snapshots.request(asked, str(request.get("shard") or ONE_LOG))}
    return {"job": snapshots.change(str(request.get("id")), _CHANGES[command])}


def _refusal(error: Exception) -> dict[str, Any]:
    return {"ok": False, "error": redacted(str(error)), "kind": _kind(error)}


def _kind(error: Exception) -> str:
    """What a refusal means to whoever asked."""
    if isinstance(error, SpecError | NotFoundError):
        return "spec" if isinstance(error, SpecError) else "not_found"
    return "refused"


def _tables(value: Any) -> list[tuple[str, str]] | None:
    """Pairs of database and table out of a request; None: all."""
    return msgspec.convert(value, list[tuple[str, str]] | None)
