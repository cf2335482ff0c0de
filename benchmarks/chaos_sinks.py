"""Destinations of the chaos runs: behind a fault proxy where there is a connection to break, with short timeouts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos_readers import FollowedExactlyOnceKafka, FollowedFiles, FollowedKafka, FollowedRedis
from benchmarks.servers import Servers
from deltaforge.observability.kill_points import POINTS
from tests.fixtures.fault_proxy import FaultProxy

OPTIONAL = "file-optional-redis"
"""A file, and a Redis that is not waited for: what it cannot take goes through its spool."""
EXACT = "kafka-exactly-once"
SINKS = ("kafka", EXACT, "redis", "file", *([OPTIONAL] if "during_spool_fsync" in POINTS else []))
_KAFKA: dict[str, Any] = {
    "send_timeout_secs": 2,
    "client_conf": {"request.timeout.ms": "1000", "socket.timeout.ms": "1000"},
}
_REDIS = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}


@dataclass(frozen=True)
class Place:
    """Where a round runs; ``name`` is of its database, topic and stream, ``lanes`` of each lane's file."""

    servers: Servers
    name: str
    folder: Path
    lanes: Sequence[str] = ("",)


@dataclass(frozen=True)
class Destinations:
    """Where a pipeline delivers to, all followed.

    ``proxy`` is in front of the one that is not a file. ``optional``: of a sink that is not waited for.
    """

    required: Any
    proxy: FaultProxy | None
    optional: Any = None


def destinations_of(sink: str, place: Place, opened: ExitStack) -> Destinations:
    """The destinations of a pipeline.

    Args:
        sink: One of :data:`SINKS`.
        place: Of the round.
        opened: Closes what this opens.
    """
    if sink == OPTIONAL:
        optional, proxy = _destination_of("redis", place, opened)
        optional.sink["config"]["required"] = False
        found = Destinations(FollowedFiles(place.folder, place.lanes), proxy, optional)
    else:
        found = Destinations(*_destination_of(sink, place, opened))
    for destination in filter(None, (found.required, found.optional)):
        destination.follow()
        opened.callback(destination.close)
    return found


def _destination_of(sink: str, place: Place, opened: ExitStack) -> tuple[Any, FaultProxy | None]:
    if sink == "file":
        return FollowedFiles(place.folder, place.lanes), None
    if sink == "redis":
        server = place.servers.get("redis")
        proxy = opened.enter_context(FaultProxy(server.port))
        return FollowedRedis(server, place.name, port=proxy.port, **_REDIS), proxy
    broker = place.servers.get("kafka")
    listens_on, sends_to = broker.behind
    proxy = opened.enter_context(FaultProxy(listens_on, port=sends_to))
    kind = FollowedKafka if sink == "kafka" else FollowedExactlyOnceKafka
    return kind(broker, place.name, bootstrap=f"127.0.0.1:{sends_to}", **_KAFKA), proxy
