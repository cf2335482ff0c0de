"""Connections between the processes of a cluster that are on several machines.

Bytewax opens them and sets no time limit: a machine or a network that is gone without a word is noticed when TCP gives
up, which takes a quarter of an hour and more. Until then nothing moves, and nobody says why. The limits are set here,
on the sockets of this process that lead to or come from the addresses of the cluster.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

log = logging.getLogger(__name__)

ADDRESSES_VARIABLE = "BYTEWAX_ADDRESSES"
HOST_FILE_VARIABLE = "BYTEWAX_HOSTFILE_PATH"
SILENT_SECS = 20
"""How long another process may be silent, with its machine and the network between taken together."""
PROBES = 4
LOOK_SECS = 0.5


def cluster_addresses(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """``host:port`` of each process of a cluster, as ``python -m bytewax.run`` is told; empty without one.

    Args:
        arguments: Of the process, without the program.
        environment: Of the process.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-a", "--addresses", default=environment.get(ADDRESSES_VARIABLE))
    known, _ = parser.parse_known_args(arguments)
    if known.addresses:
        return [*known.addresses.split(";")]
    with suppress(KeyError, OSError):
        lines = Path(environment[HOST_FILE_VARIABLE]).read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return []


def limit_silence(addresses: Sequence[str]) -> None:
    """Have this process notice within :data:`SILENT_SECS` that another one is gone, in whatever way. Returns at once;
    the connections are looked for until all of them are there.
    """
    if len(addresses) > 1:
        threading.Thread(target=_limit_all, args=(addresses,), name="links", daemon=True).start()


def _limit_all(addresses: Sequence[str]) -> None:
    limited = 0
    while limited < len(addresses) - 1:
        threading.Event().wait(LOOK_SECS)
        limited = limit_links(addresses)
    log.info("%d connections to other processes: a silence of %d s ends this one", limited, SILENT_SECS)


def limit_links(addresses: Sequence[str]) -> int:
    """Limit those that are there by now; how many."""
    places = {place for address in addresses for place in _places(address)}
    count = 0
    for link in _connections():
        with closing(link), suppress(OSError):
            if {link.getpeername()[:2], link.getsockname()[:2]} & places:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECS // PROBES)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_SECS // PROBES)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES - 1)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECS * 1000)
                count += 1
    return count


def _places(address: str) -> Iterator[tuple[str, int]]:
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError):
        for *_, place in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM):
            yield str(place[0]), int(place[1])


def _connections() -> Iterator[socket.socket]:
    """Sockets of this process, each by a descriptor of its own."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not str(entry.readlink()).startswith("socket:"):
                continue
            found = socket.socket(fileno=os.dup(int(entry.name)))
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
                yield found
            else:
                found.close()
