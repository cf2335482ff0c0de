"""What lanes in other processes have of snapshots, for the process that reads their log."""

from __future__ import annotations

import threading

import msgspec

from deltaforge.core.chunks_ahead import ChunksAhead, LaneSays
from deltaforge.runtime.peers import AGAIN_SECS, Peers
from deltaforge.runtime.run_info import RunInfo


def hear_lanes_elsewhere(info: RunInfo, ahead: ChunksAhead) -> None:
    """Ask the other processes, in a thread of its own, until the sinks of all lanes have spoken.

    Args:
        info: Of a log that is read here.
        ahead: Is told what they say.
    """
    peers = Peers(info)
    if not len(peers):
        return

    def ask() -> None:
        while ahead.waiting_for() is not None and not info.ending.is_near.wait(AGAIN_SECS):
            for answer in peers.ask({"cmd": "chunks_ahead", "shard": info.lane.shard}):
                for says in (answer or {}).get("lanes", ()):
                    ahead.take(msgspec.convert(says, LaneSays))

    threading.Thread(target=ask, name="lanes-elsewhere", daemon=True).start()
