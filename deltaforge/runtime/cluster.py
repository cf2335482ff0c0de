"""Which of the processes of a pipeline this is. They run one Bytewax cluster: worker threads of all of them share the
dataflow, and Bytewax places logs and lanes on them.

The first process is the *leader*: the pipeline's lock, its lease, its outcome and its control socket are the leader's.
The others are *members*.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from deltaforge.spec import PipelineSpec

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Cluster:
    """A process among those of a pipeline.

    Attributes:
        process: Number of this one; 0 leads.
        processes: How many there are.
        workers: Threads of Bytewax in each.
        addresses: ``host:port`` of each; empty until they are chosen, and where there is only one.
    """

    process: int = 0
    processes: int = 1
    workers: int = 1
    addresses: tuple[str, ...] = ()

    @property
    def is_leader(self) -> bool:
        """Whether this process owns the pipeline."""
        return self.process == 0

    @property
    def others(self) -> list[int]:
        """Numbers of the other processes."""
        return [number for number in range(self.processes) if number != self.process]

    @property
    def near(self) -> list[int]:
        """Those of them on this machine: under the same host name."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return [number for number in self.others if not hosts or hosts[number] == hosts[self.process]]


ALONE = Cluster()


def cluster_of(spec: PipelineSpec) -> Cluster:
    """As a document wants it, for the leader."""
    wanted = spec.spec.runtime
    return Cluster(processes=wanted.processes, workers=wanted.workers) if wanted is not None else ALONE


@contextmanager
def held_addresses(count: int) -> Iterator[tuple[str, ...]]:
    """Free addresses on the loopback interface. While it is open nobody is given their ports by chance, and whoever
    asks for one by number with ``SO_REUSEADDR``, as Bytewax does, gets it.
    """
    with ExitStack() as held:
        addresses = []
        for _ in range(count):
            holder = held.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((LOOPBACK, 0))
            addresses.append(f"{LOOPBACK}:{holder.getsockname()[1]}")
        yield tuple(addresses)
