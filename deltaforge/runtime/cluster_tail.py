"""The events that pass through all processes of a pipeline, shown to one reader."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from deltaforge.runtime.tap import MAX_EVENT_BYTES, Listener, TailRequest

TICK_SECS = 0.5
MAX_QUEUED_LINES = 256
_NOTE = b'{"tail":'
_OWN = 0
"""The number of the lines of this process."""


class ClusterListener:
    """Merges the lines of this process's listener with those of other processes. Order holds in a lane, as it does at
    the sinks.

    Args:
        own: Of this process; closed with this.
        request: What the reader wants of all processes together.
        peers: Control sockets of the others.
    """

    def __init__(self, own: Listener, request: TailRequest, peers: list[Path]) -> None:
        self._own = own
        self._request = request
        self._lines: queue.Queue[tuple[int, bytes]] = queue.Queue(MAX_QUEUED_LINES)
        self._is_closed = threading.Event()
        self._left_out: dict[int, int] = {}
        self._shown = 0
        self._open = {*range(1 + len(peers))}
        streams = [own.lines(), *(self._lines_of(path) for path in peers)]
        for number, lines in enumerate(streams):
            threading.Thread(target=self._gather, args=(number, lines), name=f"tail-{number}", daemon=True).start()

    def close(self) -> None:
        """Forget it. May be called again."""
        self._is_closed.set()
        self._own.close()

    def lines(self) -> Iterator[bytes]:
        """As :meth:`Listener.lines`."""
        ended, said = "pipeline", 0
        while self._open:
            try:
                number, line = self._lines.get(timeout=TICK_SECS)
            except queue.Empty:
                yield b""
                continue
            if not line:
                self._open.discard(number)
            elif line.startswith(_NOTE):
                note: dict[str, Any] = msgspec.json.decode(line)["tail"]
                self._left_out[number] = note["left_out"]
                ended = note.get("ended") or ended
                if said < (said := sum(self._left_out.values())):
                    yield self._note()
            else:
                self._shown += 1
                yield line
                if self._shown == self._request.limit:
                    ended = "limit"
                    break
        yield self._note(ended=ended)

    def _gather(self, number: int, lines: Iterator[bytes]) -> None:
        for line in lines:
            if line and not self._put(number, line):
                return
        self._put(number, b"")

    def _put(self, number: int, line: bytes) -> bool:
        """Wait for room: a listener that is not asked leaves out what passes."""
        while not self._is_closed.is_set():
            with suppress(queue.Full):
                self._lines.put((number, line), timeout=TICK_SECS)
                return True
        return False

    def _note(self, **more: str) -> bytes:
        left_out = sum(self._left_out.values())
        return msgspec.json.encode({"tail": {**more, "shown": self._shown, "left_out": left_out}}) + b"\n"

    def _lines_of(self, path: Path) -> Iterator[bytes]:
        """Those of one other process, from when it is there on."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            while not _is_connected(client, path):  # it may have begun a moment later than this one
                if self._is_closed.wait(TICK_SECS) or _OWN not in self._open:
                    return
            yield from _lines_from(client, self._request, self._is_closed)


def _is_connected(client: socket.socket, path: Path) -> bool:
    try:
        client.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def _lines_from(client: socket.socket, request: TailRequest, is_closed: threading.Event) -> Iterator[bytes]:
    asked = {"cmd": "tail", "alone": True, "request": msgspec.structs.asdict(request)}
    client.sendall(msgspec.json.encode(asked) + b"\n")
    client.settimeout(TICK_SECS)
    rest, is_answer = b"", True
    while not is_closed.is_set() and len(rest) <= 2 * MAX_EVENT_BYTES:
        try:
            data = client.recv(1 << 16)
        except TimeoutError:
            continue
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        if is_answer and whole:
            is_answer = False
            if not msgspec.json.decode(whole.pop(0)).get("ok"):
                return
        yield from (line + b"\n" for line in whole)
