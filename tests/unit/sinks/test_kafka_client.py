"""The client over a driver whose timing no real broker could be made to have."""

import threading

import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.encoded import EncodedList
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.routing import Destination, MessageKey, row_key
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka import client as client_module
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.driver import RefusedError
from deltaforge.sinks.kafka.errors import FailedError, Sent
from deltaforge.sinks.messages import Addressing
from deltaforge.testing.fakes import make_event


class LateDriver:
    """The report of a failed message has left the library's queue, and whoever fetched it is not done with it."""

    def __init__(self):
        self.is_fetched = threading.Event()
        self.may_return = threading.Event()
        self._is_first = True

    def fix_headers(self, headers):
        pass

    def __len__(self):
        return 0 if self.is_fetched.is_set() else 1

    def reports(self, _secs=0):
        if not self._is_first:
            return []
        self._is_first = False
        self.is_fetched.set()
        self.may_return.wait(60)
        return [("delivery", ("MSG_SIZE_TOO_LARGE", "too large", "t", b"key", b"value"))]

    def flush(self, _secs):
        assert self.is_fetched.wait(60)
        threading.Timer(0.2, self.may_return.set).start()

    def purge(self):
        pass

    def close(self):
        pass


def test_a_failure_that_another_thread_has_fetched_is_not_taken_for_an_ack(monkeypatch):
    driver = LateDriver()
    monkeypatch.setattr(client_module, "new_driver", lambda *_: driver)
    client = Client({}, SinkContext("p", "acme", PipelineMetrics("p")), sink_id="k", timeout_secs=5)
    assert driver.is_fetched.wait(60)  # by the client's own thread
    with pytest.raises(FailedError, match="too large"):
        client.drain()
    client.close()


class RefusingDriver:
    """Has these reports, and refuses every message outright."""

    def __init__(self, *reports, at=4):
        self._reports = list(reports)
        self._at = at
        self.purges = 0

    def fix_headers(self, headers):
        pass

    def __len__(self):
        return 0

    def produce_rows(self, *_):
        raise RefusedError("MSG_SIZE_TOO_LARGE", "too large", self._at)

    def reports(self, _secs=0):
        taken, self._reports = self._reports, []
        return taken

    def flush(self, _secs):
        pass

    def purge(self):
        self.purges += 1

    def close(self):
        pass


@pytest.fixture
def client_of(monkeypatch):
    made = []

    def make(driver):
        monkeypatch.setattr(client_module, "new_driver", lambda *_: driver)
        made.append(Client({}, SinkContext("p", "acme", PipelineMetrics("p")), sink_id="k", timeout_secs=5))
        return made[-1]

    yield make
    for client in made:
        client.close()


def send(client):
    """Four events: the first has two messages, and the last one is large."""
    addressing = Addressing(Destination("t", "topic"), MessageKey("k", row_key, pytest.fail))
    batch = Batch([make_event(n, 4) for n in range(4)], PostgresPosition(4))
    values = EncodedList([b"", None, b"", b"", b"large"], batch.events(), [0, 0, 1, 2, 3])
    list(client.send_rows(values, addressing.targets(batch), 0, 5))


@pytest.mark.parametrize(("values", "is_alone"), [([b"large"], True), ([b"s", b"large", b"t"], False)])
def test_the_largest_message_of_a_refused_request_is_blamed_and_known_only_if_it_was_alone(client_of, values, is_alone):
    client = client_of(
        RefusingDriver(*(("delivery", ("MSG_SIZE_TOO_LARGE", "too large", "t", b"k", value)) for value in values))
    )
    with pytest.raises(FailedError) as caught:
        client.drain()
    assert (caught.value.sent, caught.value.is_alone) == (Sent("t", b"k", b"large"), is_alone)


def test_a_message_that_the_producer_does_not_take_leaves_the_others_in_it(client_of):
    driver = RefusingDriver()
    client = client_of(driver)
    with pytest.raises(FailedError) as caught:
        send(client)
    assert (caught.value.index, driver.purges) == (3, 0)


def test_a_message_that_the_producer_does_not_take_ends_it_if_it_has_others_of_the_same_event(client_of):
    driver = RefusingDriver(at=1)
    client = client_of(driver)
    with pytest.raises(FailedError) as caught:
        send(client)
    assert (caught.value.index, caught.value.sent, driver.purges) == (None, Sent("t", b"k", None), 1)


def test_a_message_that_is_refused_while_others_failed_is_not_the_first_cause(client_of):
    client = client_of(RefusingDriver())
    client._on_failed_delivery("MSG_SIZE_TOO_LARGE", "too large", Sent("t", b"k", b"earlier"))
    with pytest.raises(FailedError) as caught:
        send(client)
    assert caught.value.index is None
