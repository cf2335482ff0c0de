"""The REST API in this process, on real sockets, without pipelines."""

import asyncio
import socket
import threading
from contextlib import contextmanager

from api.address import resolve
from api.app import create_app
from api.listener import Listener
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import PipelineService
from deltaforge.storage.memory import MemoryStorage
from tests.fixtures.ports import free_port


class Served:
    """A server that runs in a thread.

    Attributes:
        port: Where it listens on 127.0.0.1.
        listener: The listener itself, to look at it.
    """

    def __init__(self, folder, *, guard=None, audit=None, tls=None, app=None, **limits):
        self.port = free_port()
        options = ServeOptions(storage_backend="memory", state_dir=folder)
        self.service = PipelineService(MemoryStorage(), options)
        self.app = app or create_app(self.service, guard=guard, audit=audit)
        self.listener = Listener(self.app, resolve(f"127.0.0.1:{self.port}"), tls, **limits)
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._up = threading.Event()

    async def _run(self):
        self.loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        running = asyncio.create_task(self.listener.run(self._ended))
        await asyncio.sleep(0)
        self._up.set()
        await running

    def start(self):
        self._thread.start()
        assert self._up.wait(60)

    def stop(self):
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def connections(self):
        """Those that are open, in the order of their acceptance."""
        return list(self.listener._connections)

    @contextmanager
    def standing(self):
        """The server does nothing meanwhile."""
        goes_on = threading.Event()
        self.loop.call_soon_threadsafe(goes_on.wait)
        try:
            yield
        finally:
            goes_on.set()

    def raw(self, *parts):
        """Everything that is answered to these bytes until the server closes."""
        with self.connect() as sock:
            for part in parts:
                sock.sendall(part)
            return read_all(sock)


@contextmanager
def served(folder, **options):
    """A server for the length of a block."""
    server = Served(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def read_all(sock):
    """What comes until the other side has said everything."""
    found = b""
    while part := sock.recv(65536):
        found += part
    return found


def parse(answer):
    """Status, headers and body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value.strip()
    return int(first.split()[1]), headers, body
