"""Copies of the tables in a chaos run: one after the other, for as long as it lasts."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from tests.pipelines import wait_for
from tests.trial import Trial

ROWS, CHANGES = 6000, 100
"""Of the tables before the pipeline is first started."""
OVER = ("completed", "failed", "cancelled")
MOST_SECS = 120


def settings_of(rng: random.Random) -> dict[str, Any]:
    """Many small chunks make many places to be killed at."""
    return {
        "mode": "initial",
        "chunk_size": rng.choice([30, 100, 500]),
        "intra_table_parallel": rng.random() < 0.5,
        "max_parallel_chunks": 3,
    }


class Copies:
    """Fills the tables, and asks for one more copy whenever none is under way.

    Args:
        trial: Not begun.
        rng: Decides which tables are copied again.
        is_exact: No row may come twice, so no table may have to be copied anew.
    """

    def __init__(self, trial: Trial, rng: random.Random, *, is_exact: bool) -> None:
        self._trial, self._rng = trial, rng
        self._count = 0
        for log in trial.logs:
            log.workload.has_ddl = not is_exact
            log.workload.big_transaction(ROWS, "before")
            log.workload.run(CHANGES)

    def ask_again(self) -> None:
        """Ask for one more if all others are over."""
        if all(job["status"] in OVER for job in self._jobs()):
            self.ask()

    def ask(self, *, rows_per_second: int | None = None) -> None:
        """Ask for one more copy of some tables, which the rate makes last."""
        self._count += 1
        table = self._rng.choice(["*", "items"])
        logs = self._trial.logs
        log = logs[0] if len(logs) == 1 else self._rng.choice(logs)
        schema = "public" if log.database.server.scheme == "postgres" else log.database.name
        request: dict[str, Any] = {"id": f"copy{self._count}", "tables": [f"{schema}.{table}"]}
        request["max_rows_per_second"] = rows_per_second
        answer = self._answer("snapshot", request=request, **({"shard": log.shard} if log.shard else {}))
        assert "job" in answer, answer

    def wait(self) -> None:
        """Return when every copy is completed.

        Raises:
            AssertionError: One has failed.
        """

        def is_done() -> bool:
            self._trial.pipeline.assert_runs()
            jobs = self._jobs()
            failed = [job for job in jobs if job["status"] == "failed"]
            assert not failed, failed
            return all(job["status"] in OVER for job in jobs)

        wait_for(is_done, MOST_SECS)

    def _jobs(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self._answer("snapshots")["jobs"]
        return jobs

    def _answer(self, command: str, **more: Any) -> dict[str, Any]:
        """What the pipeline says once it can be asked: its source may be reconnecting, or itself beginning."""
        found: dict[str, Any] = {}

        def is_answered() -> bool:
            self._trial.pipeline.assert_runs()
            with contextlib.suppress(OSError):
                found.update(self._trial.pipeline.ask(command, **more))
            return "job" in found or "jobs" in found

        wait_for(is_answered, MOST_SECS)
        return found
