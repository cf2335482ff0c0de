"""What the control socket of a process answers for all processes of its pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deltaforge.runtime.cluster_tail import ClusterListener
from deltaforge.runtime.merging import merged_metrics, merged_status
from deltaforge.runtime.peers import Peers
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.status import part_of, snapshot_views, status
from deltaforge.runtime.tap import Listener, TailRequest

Answer = dict[str, Any]
Own = Callable[[Answer], Answer]
"""What this process answers to a request for itself. Never raises: a refusal is an answer with ``ok`` false."""

STATUS_SECS = 0.3
"""How long a status waits for other processes: who asks for it does not wait for long."""
KNOWN_SECS = 10.0
"""How long the last answer of a process stands for the next one."""
RELOAD_SECS, REDELIVER_SECS, SNAPSHOT_SECS = 60.0, 280.0, 25.0
_OF_ONE = {"snapshot", "snapshot_pause", "snapshot_resume", "snapshot_cancel"}
"""Commands that are for the one process that reads the log."""
_OF_ALL = {"pause", "resume"}
"""Commands that are not carried out before every process has heard of them: any of them may read a log."""
_SILENT: Answer = {"ok": False, "error": "a process of the pipeline does not answer", "kind": "gone"}


class ClusterAnswers:
    """Asks this process and the others.

    Args:
        info: Of the run.
        own: See :data:`Own`.
    """

    def __init__(self, info: RunInfo, own: Own) -> None:
        self._info = info
        self._own = own
        self._peers = Peers(info)
        self._known: dict[tuple[str, int], tuple[float, Answer]] = {}

    def answer(self, request: Answer) -> Answer:
        """The answer of the whole pipeline. Never raises."""
        command = request.get("cmd")
        if command == "status":
            return self.status()
        if command == "metrics":
            found = [part for part in self._parts(request, STATUS_SECS) if part is not None and part.get("ok")]
            return {"ok": True, "metrics": merged_metrics(part["metrics"] for part in found)}
        if command == "retry_dead_letters":
            return self._retried(request)
        if command == "reload_schemas":
            return _joined(self._all(request, RELOAD_SECS), "tables")
        if command == "snapshots":
            return _joined(self._all(request, SNAPSHOT_SECS), "jobs")
        if command in _OF_ONE:
            return self._by_one(request)
        answers = self._all(request, SNAPSHOT_SECS)
        if command in _OF_ALL and request.get("shard") is None and None in answers:
            return {**_SILENT, "kind": "refused"}
        return _first(answers)  # also log_level, stop, and what is for one shard

    def listen(self, own: Listener, request: TailRequest) -> ClusterListener:
        """Who is shown the events of all processes."""
        return ClusterListener(own, request, self._peers.sockets())

    def status(self) -> Answer:
        """That of the whole pipeline."""
        parts = self._parts({"cmd": "status"}, STATUS_SECS)
        return {"ok": True, **merged_status(parts, self._info.spec.shards())}

    def snapshots(self) -> list[Answer]:
        """The snapshots of all logs; see :func:`~deltaforge.runtime.status.snapshot_views`."""
        jobs: list[Answer] = _joined(self._parts({"cmd": "snapshots"}, STATUS_SECS), "jobs").get("jobs", [])
        return jobs

    def _all(self, request: Answer, answer_secs: float) -> list[Answer | None]:
        return [self._own(request), *self._peers.ask(request, answer_secs=answer_secs)]

    def _parts(self, request: Answer, answer_secs: float) -> list[Answer | None]:
        """The same; one that is late, for having much to do, is as it was a moment ago."""
        now = time.monotonic()
        parts = self._all(request, answer_secs)
        for number, part in enumerate(parts):
            key = str(request["cmd"]), number
            if part is not None:
                self._known[key] = now, part
            elif key in self._known and now - self._known[key][0] < KNOWN_SECS:
                parts[number] = self._known[key][1]
        return parts

    def _by_one(self, request: Answer) -> Answer:
        """That of the process that it is for: others know nothing of it, and nobody knows what a silent one has."""
        answers: list[Answer | None] = []
        for ask in (self._own, *self._peers.askers(answer_secs=SNAPSHOT_SECS)):
            answers.append(answer := ask(request))
            if answer is not None and answer.get("ok"):
                return answer
        found = _first(answers)
        return _SILENT if None in answers and found.get("kind") == "not_found" else found

    def _retried(self, request: Answer) -> Answer:
        """Each dead letter by the process that delivers its lane."""
        entries: dict[int, Answer] = {}
        refusal: Answer | None = None
        asked = request
        for ask in (self._own, *self._peers.askers(answer_secs=REDELIVER_SECS)):
            answer = ask(asked)
            if answer is None or not answer.get("ok"):
                refusal = refusal or answer
                continue
            entries.update({entry["seq"]: entry for entry in answer["entries"]})
            elsewhere = [seq for seq, entry in entries.items() if entry["status"] == "elsewhere"]
            if not elsewhere:
                break
            asked = {"cmd": request["cmd"], "seqs": elsewhere}
        if not entries and refusal is not None:
            return refusal
        for entry in entries.values():
            if entry["status"] == "elsewhere":
                entry.update(status="failed", error="the process that delivers its lane does not answer")
        return {"ok": True, "entries": [*entries.values()]}


def answers_of(pipeline: RunningPipeline) -> ClusterAnswers:
    """For whoever looks at the whole pipeline from inside this process."""

    def own(request: Answer) -> Answer:
        if request["cmd"] == "status":
            return {"ok": True, **status(pipeline), **part_of(pipeline)}
        return {"ok": True, "jobs": snapshot_views(pipeline)}

    return ClusterAnswers(pipeline.info, own)


def _joined(parts: list[Answer | None], key: str) -> Answer:
    """The lists under a key, of all that have one."""
    willing = [part for part in parts if part is not None and part.get("ok")]
    if not willing:
        return _first(parts)
    return {"ok": True, key: [value for part in willing for value in part[key]]}


def _first(answers: list[Answer | None]) -> Answer:
    """The first that is no refusal; else that refusal which says most."""
    refusals: list[Answer] = []
    for answer in answers:
        if answer is None:
            continue
        if answer.get("ok"):
            return answer
        refusals.append(answer)
    refusals.sort(key=lambda refusal: refusal.get("kind") == "refused")
    return refusals[0]
