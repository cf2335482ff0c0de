from datetime import UTC, datetime

import pytest

from deltaforge.checkpoint.identity import NAMESPACE, Delta, FailoverLog, Known, ServerIdentity
from deltaforge.core.errors import CheckpointError
from deltaforge.storage.memory import MemoryStorage

A, B = ServerIdentity("a"), ServerIdentity("b")


def log_at(kv, hour):
    return FailoverLog(kv, "s", now=lambda: datetime(2026, 1, 1, hour, tzinfo=UTC))


def test_keys_are_those_of_the_contract():
    kv = MemoryStorage().kv
    log = log_at(kv, 1)
    log.remember(Known(A, (("shop", "t"),)))
    log.record(A, B, "resumed")
    assert [key for key, _ in kv.list(NAMESPACE)] == ["identity:s", "s/reconciliation"]
    assert FailoverLog(kv, "s").known() == Known(A, (("shop", "t"),))
    log.forget()
    assert kv.list(NAMESPACE) == []


def test_the_same_change_found_again_keeps_its_record():
    kv = MemoryStorage().kv
    log_at(kv, 1).record(A, B, "halted", reason="why", deltas=(Delta("table_dropped", "shop.t"),))
    first = log_at(kv, 2).reconciliation()
    log_at(kv, 2).record(A, B, "halted", reason="why", deltas=(Delta("table_dropped", "shop.t"),))
    assert log_at(kv, 2).reconciliation() == first
    log_at(kv, 3).record(A, B, "resumed")
    resumed = log_at(kv, 3).reconciliation()
    assert (resumed.id, resumed.outcome, resumed.recorded_at.hour) == (first.id, "resumed", 3)


def test_servers_are_told_apart_as_far_as_they_are_known():
    assert not A.is_same(B)
    one, two, unknown = (ServerIdentity("a", timeline) for timeline in (1, 2, 0))
    assert not one.is_same(two)
    assert one.is_same(unknown)
    assert unknown.is_same(two)


def test_stored_value_of_somebody_else_is_an_error_and_not_a_first_start():
    kv = MemoryStorage().kv
    kv.put(NAMESPACE, "identity:s", b"{")
    with pytest.raises(CheckpointError, match="identity:s"):
        FailoverLog(kv, "s").known()
