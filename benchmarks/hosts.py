"""Two machines on this one: network namespaces with a wire between them that can be cut, and a way each to the servers
of this machine. Needs root and ``ip`` (iproute2).

``python -m benchmarks.hosts LISTEN TARGET PORT…`` forwards ports of one address to another; it runs in each machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

WIRE = "10.213.0."
"""Between the machines: number N has N + 1."""
OUTSIDE = "10.213.{}."
"""To this machine, which has 1; the other end has 2. Of number N it is net N + 1."""
LOOPBACK = "127.0.0.1"
_COUNTER = itertools.count()


class Hosts:
    """Two machines, with nothing on them, while it is open.

    Args:
        ports: Of servers on the loopback interface here, which both machines find on theirs.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = [str(port) for port in ports]
        self._names = [f"df{os.getpid()}-{next(_COUNTER)}-{number}" for number in range(2)]
        self._forwarders: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._forwarders:
            process.kill()
            process.wait()
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def addresses(self, port: int) -> list[str]:
        """``host:port`` of each machine, on the wire between them."""
        return [f"{WIRE}{number + 1}:{port}" for number in range(2)]

    def start(self, number: int, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program on a machine."""
        return subprocess.Popen(["ip", "netns", "exec", self._names[number], *command], **options)

    def cut(self) -> None:
        """Take the wire away: what is sent is lost, and nobody is told."""
        self._set_wire("down")

    def mend(self) -> None:
        """Put the wire back."""
        self._set_wire("up")

    def _set_wire(self, state: str) -> None:
        _ip("-n", self._names[0], "link", "set", "wire", state)

    def _make(self) -> None:
        for name in self._names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        first, second = self._names
        _ip("link", "add", "wire", "netns", first, "type", "veth", "peer", "name", "wire", "netns", second)
        for number, name in enumerate(self._names):
            _up(name, "wire", f"{WIRE}{number + 1}/24")
            here, net = f"{name[-10:]}o"[-14:], OUTSIDE.format(number + 1)
            _ip("link", "add", here, "type", "veth", "peer", "name", "out", "netns", name)
            _ip("addr", "add", f"{net}1/24", "dev", here)
            _ip("link", "set", here, "up")
            _up(name, "out", f"{net}2/24")
            self._forward([], f"{net}1", LOOPBACK)
            self._forward(["ip", "netns", "exec", name], LOOPBACK, f"{net}1")

    def _forward(self, within: Sequence[str], listen: str, target: str) -> None:
        command = [*within, sys.executable, "-m", "benchmarks.hosts", listen, target, *self._ports]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
        self._forwarders.append(process)
        assert process.stdout is not None
        assert process.stdout.readline(), "the forwarder did not start"


def _up(name: str, device: str, address: str) -> None:
    _ip("-n", name, "addr", "add", address, "dev", device)
    _ip("-n", name, "link", "set", device, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def _serve(listen: str, target: str, ports: Sequence[int]) -> None:
    def forwarding(port: int) -> Any:
        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                there, to = await asyncio.open_connection(target, port)
                await asyncio.gather(_pump(reader, to), _pump(there, writer))
            writer.close()

        return forward

    servers = [await asyncio.start_server(forwarding(port), listen, port) for port in ports]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]))
