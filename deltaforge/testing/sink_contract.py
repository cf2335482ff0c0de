"""What every sink must do, as test classes: subclass one, give it a ``target`` fixture, and pytest runs it.

* :class:`SinkContract`: every sink.
* :class:`RoutedSinkContract`: sinks with destinations, keys and headers.
* :class:`NetworkSinkContract`: sinks on a server behind a line that can be cut.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.delivery import DeliveryReport
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import Routing
from deltaforge.core.retry import Retry, retry_of
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext
from deltaforge.testing.fakes import make_batch

DEADLINE_SECS = 60.0
ENVELOPES: Sequence[dict[str, str]] = (
    {"type": "native"},
    {"type": "debezium"},
    {"type": "cloudevents", "type_prefix": "com.acme"},
)


@dataclass(frozen=True)
class Delivered:
    """One event as a reader of the target finds it."""

    value: bytes
    destination: str = ""
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The row's ``id``, from a native value."""
        return int(msgspec.json.decode(self.value)["after"]["id"])


class SinkTarget(Protocol):
    """A place that a sink writes to, empty at first, and how to look at it."""

    def sink(self, **settings: Any) -> Sink:
        """A new sink for this place; ``settings`` are added to its config."""

    def delivered(self) -> list[Delivered]:
        """Everything that is there for readers, in the order of each destination."""


class RoutedTarget(SinkTarget, Protocol):
    """A target with destinations. ``sink`` also takes the templates ``destination`` and ``key``."""

    name: str
    """Beginning of all destinations that belong to this target."""


class BreakableTarget(SinkTarget, Protocol):
    """A target behind a line. Sinks are built with timeouts of about a second."""

    def down(self) -> None:
        """Reset the line and keep it down."""

    def up(self) -> None:
        """The line works again."""

    def stall(self) -> None:
        """Nothing passes, no connection ends."""

    def unstall(self) -> None:
        """End of :meth:`stall`: what waited goes on."""

    def unreachable(self) -> Sink:
        """A sink that is told an address where nobody listens."""

    def unwelcome(self) -> Sink:
        """A sink with a wrong password."""


def context() -> SinkContext:
    """A context with metrics of its own."""
    return SinkContext("p", "t", PipelineMetrics("p"))


def numbered_batch(first: int, event_count: int = 1, **fields: Any) -> Batch:
    """A batch of inserts of the rows ``first``, ``first + 1``, …; ``fields`` replace those of each event."""
    batch = make_batch(first, event_count=event_count)
    changed = [
        msgspec.structs.replace(event, **{"event_id": f"event-{first + n}", **fields})
        for n, event in enumerate(batch.events())
    ]
    return batch.with_events(changed)


def with_row(row: dict[str, Any], **fields: Any) -> Batch:
    """A batch of one insert of ``row``."""
    return numbered_batch(1, after=row, **fields)


def deliver(sink: Sink, batches: Sequence[Batch], *, is_open: bool = True, written: int = 0) -> list[str]:
    """Write and flush as the engine does: after an error, suspend, open again and write everything again.

    The first ``written`` batches are written already.

    Returns:
        The kinds of the errors on the way.

    Raises:
        SinkError: No retry can help, or none did in time.
    """
    kinds: list[str] = []
    deadline = time.monotonic() + DEADLINE_SECS
    while True:
        try:
            _attempt(sink, batches[written:], is_open=is_open)
        except SinkError as error:
            kinds.append(error.kind)
            if retry_of(error) is not Retry.BACKOFF or time.monotonic() > deadline:
                raise
            sink.suspend()
            is_open, written = False, 0
            time.sleep(0.05)
        else:
            return kinds


def without_repeats(numbers: Sequence[int]) -> list[int]:
    """First occurrences, in order: what a reader that knows the event ids makes of it."""
    return list(dict.fromkeys(numbers))


class SinkContract:
    """Rules for every sink."""

    def test_events_arrive_in_order(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        for first in (1, 101, 201):
            sink.write(numbered_batch(first, 100))
        sink.flush()
        sink.close()
        assert [event.number for event in target.delivered()] == list(range(1, 301))

    def test_flush_alone_makes_everything_durable(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        for number in (1, 2):
            sink.write(numbered_batch(number))
            assert (sink.flush(), sink.flush()) == (DeliveryReport(), DeliveryReport())
            assert [event.number for event in target.delivered()] == list(range(1, number + 1))
        sink.close()

    def test_an_empty_batch_is_nothing(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        sink.flush()
        sink.write(numbered_batch(1, 0))
        sink.flush()
        sink.write(numbered_batch(1))
        sink.flush()
        sink.close()
        assert [event.number for event in target.delivered()] == [1]

    def test_suspend_and_close_may_come_at_any_time_and_twice(self, target: SinkTarget) -> None:
        sink = target.sink()
        for _ in range(2):
            sink.suspend()
            sink.close()
            sink.close()
            sink.suspend()
            sink.open()
        sink.suspend()
        sink.suspend()
        sink.open()
        sink.write(numbered_batch(1))
        sink.flush()
        sink.close()
        assert [event.number for event in target.delivered()] == [1]

    def test_writing_again_after_reopening_leaves_no_gap(self, target: SinkTarget) -> None:
        sink = target.sink()
        batches = [numbered_batch(1, 10), numbered_batch(11, 10)]
        sink.open()
        for batch in batches:
            sink.write(batch)
        sink.suspend()
        sink.open()
        assert deliver(sink, [*batches, numbered_batch(21, 10)]) == []
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 31))

    def test_other_batches_after_reopening_leave_no_gap_either(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        sink.write(numbered_batch(1, 10))
        sink.write(numbered_batch(11, 10))
        sink.suspend()
        sink.open()
        deliver(sink, [numbered_batch(1, 15), numbered_batch(16, 5)])
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 21))

    def test_what_is_closed_comes_no_more_behind_what_is_written_next(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        sink.write(numbered_batch(1, 10))
        sink.close()
        sink.open()
        assert deliver(sink, [numbered_batch(11, 10)]) == []
        sink.close()
        assert [e.number for e in target.delivered()] in ([*range(11, 21)], [*range(1, 21)])

    def test_a_large_batch_arrives_whole(self, target: SinkTarget) -> None:
        sink = target.sink()
        sink.open()
        sink.write(numbered_batch(1, 20_000))
        sink.flush()
        sink.close()
        assert [event.number for event in target.delivered()] == list(range(1, 20_001))

    def test_a_large_event_arrives_whole(self, target: SinkTarget) -> None:
        sink = target.sink()
        text = "line\nend\u2028 \U0001f600" * 30_000
        sink.open()
        sink.write(with_row({"id": 1, "text": text}))
        sink.flush()
        sink.close()
        (event,) = target.delivered()
        assert msgspec.json.decode(event.value)["after"]["text"] == text

    @pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda envelope: envelope["type"])
    def test_values_are_those_of_the_envelope(self, target: SinkTarget, envelope: dict[str, str]) -> None:
        sink = target.sink(envelope=envelope)
        batch = numbered_batch(1, 3)
        sink.open()
        sink.write(batch)
        sink.flush()
        sink.close()
        config = EncodedSinkConfig.model_validate({"id": "s", "envelope": envelope})
        expected = list(batch.encoded(config.encoder()))
        assert [event.value for event in target.delivered()] == expected

    def test_an_event_that_is_no_json_is_named_by_its_index(self, target: SinkTarget) -> None:
        sink = target.sink()
        good = numbered_batch(1, 2)
        sink.open()
        with pytest.raises(RecordError) as caught:
            sink.write(good.with_events([*good.events(), *with_row({"id": 3, "text": "secret\ud800"}).events()]))
        assert (caught.value.index, caught.value.kind) == (2, "serialization")
        assert "secret" not in str(caught.value)
        sink.close()


class RoutedSinkContract:
    """Rules for sinks whose settings have a destination template and a key template."""

    def test_the_destination_template_is_filled_from_the_event(self, target: RoutedTarget) -> None:
        (event,) = _delivered(target, numbered_batch(7), destination=_own(target, "${source.table}.${op}.${after.id}"))
        assert event.destination == _own(target, "t.c.7")

    def test_an_event_without_a_destination_is_named_by_its_index(self, target: RoutedTarget) -> None:
        sink = target.sink(destination=_own(target, "${after.region}"))
        batch = numbered_batch(1, 2)
        sink.open()
        with pytest.raises(RecordError) as caught:
            sink.write(
                batch.with_events(
                    [
                        msgspec.structs.replace(batch.events()[0], after={"id": 1, "region": "eu"}),
                        batch.events()[1],
                    ]
                )
            )
        sink.close()
        assert (caught.value.index, caught.value.kind) == (1, "routing")

    def test_the_key_template_is_filled_and_what_is_missing_is_empty(self, target: RoutedTarget) -> None:
        (event,) = _delivered(target, numbered_batch(7), key="${tenant_id}/${after.id}")
        assert event.key == "/7"

    def test_routing_wins_over_templates(self, target: RoutedTarget) -> None:
        routing = Routing(topic=_own(target, "elsewhere"), key="k1", headers={"h": "v\u00e9", "empty": ""})
        (event,) = _delivered(target, numbered_batch(1, routing=routing), key="${after.id}")
        assert event.destination == _own(target, "elsewhere")
        assert (event.key, event.headers) == ("k1", {"h": "v\u00e9", "empty": ""})

    def test_an_empty_routing_topic_overrides_nothing(self, target: RoutedTarget) -> None:
        (event,) = _delivered(
            target, numbered_batch(1, routing=Routing(key="k")), destination=_own(target, "${source.table}")
        )
        assert (event.destination, event.key) == (_own(target, "t"), "k")


class NetworkSinkContract:
    """Rules for sinks on a server: what is in doubt is written again, nothing is missing, nothing overtakes."""

    def test_an_ack_needs_the_server(self, target: BreakableTarget) -> None:
        sink = target.sink()
        deliver(sink, [numbered_batch(1)], is_open=False)
        target.stall()
        batch = numbered_batch(2)
        with pytest.raises(SinkError) as caught:
            _attempt(sink, [batch], is_open=True)
        assert retry_of(caught.value) is Retry.BACKOFF
        target.unstall()
        sink.suspend()
        deliver(sink, [batch], is_open=False)
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == [1, 2]

    def test_a_reset_between_write_and_flush_loses_nothing(self, target: BreakableTarget) -> None:
        sink = target.sink()
        sink.open()
        first = 1
        for _ in range(5):
            batches = [numbered_batch(first, 50), numbered_batch(first + 50, 50)]
            sink.write(batches[0])
            target.down()
            target.up()
            deliver(sink, batches, written=1)
            first += 100
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 501))

    def test_an_outage_longer_than_every_timeout_ends_well(self, target: BreakableTarget) -> None:
        sink = target.sink()
        deliver(sink, [numbered_batch(1)], is_open=False)
        target.down()
        batches = [numbered_batch(2, 10), numbered_batch(12, 10)]
        _fail_for(sink, batches, secs=4.0)
        target.up()
        deliver(sink, batches, is_open=False)
        deliver(sink, [numbered_batch(22, 10)])
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 32))

    def test_a_server_that_is_down_at_first_is_waited_for(self, target: BreakableTarget) -> None:
        target.down()
        sink = target.sink()
        batches = [numbered_batch(1, 10)]
        _fail_for(sink, batches, secs=2.0, is_open=False)
        target.up()
        deliver(sink, batches, is_open=False)
        sink.close()
        assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 11))

    def test_an_address_where_nobody_listens_is_a_connect_error(self, target: BreakableTarget) -> None:
        sink = target.unreachable()
        with pytest.raises(SinkError) as caught:
            _attempt(sink, [numbered_batch(1)], is_open=False)
        sink.close()
        assert caught.value.kind == "connect"

    def test_a_wrong_password_is_an_auth_error_and_stays_secret(self, target: BreakableTarget) -> None:
        sink = target.unwelcome()
        with pytest.raises(SinkError) as caught:
            _attempt(sink, [numbered_batch(1)], is_open=False)
        sink.close()
        assert caught.value.kind == "auth"
        assert "wrong-password" not in str(caught.value)


def _own(target: RoutedTarget, name: str) -> str:
    return f"{target.name}.{name}"


def _delivered(target: SinkTarget, batch: Batch, **settings: Any) -> list[Delivered]:
    sink = target.sink(**settings)
    _attempt(sink, [batch], is_open=False)
    sink.close()
    return target.delivered()


def _attempt(sink: Sink, batches: Sequence[Batch], *, is_open: bool) -> None:
    if not is_open:
        sink.open()
    for batch in batches:
        sink.write(batch)
    sink.flush()


def _fail_for(sink: Sink, batches: Sequence[Batch], *, secs: float, is_open: bool = True) -> None:
    """Try as the engine does while the server is away; leaves the sink suspended."""
    until = time.monotonic() + secs
    while time.monotonic() < until:
        with pytest.raises(SinkError) as caught:
            _attempt(sink, batches, is_open=is_open)
        assert retry_of(caught.value) is Retry.BACKOFF
        sink.suspend()
        is_open = False
