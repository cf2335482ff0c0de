"""The client over a driver whose timing no real broker could be made to have."""

import threading

import pytest

from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka import client as client_module
from deltaforge.sinks.kafka.client import Client, FailedError


class LateDriver:
    """The report of a failed message has left the library's queue, and whoever fetched it is not done with it."""

    def __init__(self):
        self.is_fetched = threading.Event()
        self.may_return = threading.Event()
        self._is_first = True

    def __len__(self):
        return 0 if self.is_fetched.is_set() else 1

    def reports(self):
        if not self._is_first:
            return []
        self._is_first = False
        self.is_fetched.set()
        self.may_return.wait(10)
        return [("delivery", ("MSG_SIZE_TOO_LARGE", "too large", b"value"))]

    def flush(self, _secs):
        assert self.is_fetched.wait(10)
        threading.Timer(0.2, self.may_return.set).start()

    def purge(self):
        pass

    def close(self):
        pass


def test_a_failure_that_another_thread_has_fetched_is_not_taken_for_an_ack(monkeypatch):
    driver = LateDriver()
    monkeypatch.setattr(client_module, "new_driver", lambda *_: driver)
    client = Client({}, SinkContext("p", "acme", PipelineMetrics("p")), sink_id="k", timeout_secs=5)
    assert driver.is_fetched.wait(10)  # by the client's own thread
    with pytest.raises(FailedError, match="too large"):
        client.drain()
    client.close()
