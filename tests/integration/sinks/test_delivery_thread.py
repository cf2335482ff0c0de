"""Sinks under the engine's own delivery thread, while the line to the server comes and goes."""

import time

import pytest

from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.testing.sink_contract import context, numbered_batch, without_repeats
from tests.integration.sinks.test_kafka import KafkaTargetBehindProxy
from tests.integration.sinks.test_redis import RedisTarget
from tests.patience import SHORT_SECS


@pytest.fixture(params=["kafka", "redis"])
def target(request):
    if request.param == "kafka":
        return KafkaTargetBehindProxy(request.getfixturevalue("kafka_behind_proxy"), None)
    server = request.getfixturevalue("redis_server")
    return RedisTarget(server, request.getfixturevalue("fault_proxy")(server.port))


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_everything_handed_over_during_outages_arrives_in_order(target, fault):
    sink = target.sink(send_timeout_secs=SHORT_SECS)
    worker = SinkWorker(sink._config, sink, context().metrics, acked=None, max_queued=4)
    first = 1
    for _ in range(3):
        assert hand_over(worker, first)
        getattr(target, fault)()
        outage_ends = time.monotonic() + 1.5
        while time.monotonic() < outage_ends:
            worker.wait_acked(0.1)
            if hand_over(worker, first + 10, timeout_secs=0.1):
                first += 10
        getattr(target, "up" if fault == "down" else "unstall")()
        assert worker.wait_acked(60)
        first += 10
    worker.close()
    assert worker.failure is None
    assert without_repeats([event.number for event in target.delivered()]) == list(range(1, first))


def hand_over(worker, first, timeout_secs=30.0):
    return worker.offer(numbered_batch(first, 10), timeout_secs)
