"""The live ``kafka`` sink: which batches are in doubt, and what becomes of them after an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deltaforge.config.unset import naming_unset
from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.encoded import EncodedValues
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.kernel.backend import Targets
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.config import TOPIC_NAME, KafkaSinkConfig
from deltaforge.sinks.kafka.driver import key_of
from deltaforge.sinks.kafka.errors import FailedError, Sent, StalledError
from deltaforge.sinks.kafka.refusals import LoneProducer, Suspects, end_of_event, refused_event
from deltaforge.sinks.kafka.topics import Topics
from deltaforge.sinks.messages import Messages, Outgoing

log = logging.getLogger(__name__)

_SHOWN = 100


@dataclass
class Handed:
    """A batch since the last flush, how many of its messages the producer has, and the bytes of all its values.

    ``refused``: the events of messages that were sent alone.
    """

    batch: Batch
    value_bytes: int
    count: int = 0
    refused: list[RecordError] = field(default_factory=list)


class KafkaSink:
    """Fills the producer in ``write`` and waits for every acknowledgement in ``flush``.

    While messages are in doubt, a producer that is suspended stays as it is for the next ``open``.
    """

    def __init__(self, config: KafkaSinkConfig, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._topic = config.destination()
        self._messages = Messages(config, self._topic, config.key, rules=config.rules())
        settings = config.producer_settings(context.pipeline, context.lane)
        creation = config.topic_creation
        self._topics = None if creation is None else Topics(creation, settings, config.send_timeout_secs, config.id)
        self._bytes = context.metrics.sink_bytes.labels(context.pipeline, config.id)
        self._client: Client | None = None
        self._suspects = Suspects()
        self._lone = LoneProducer(self._connected)
        self._handed: list[Handed] = []
        self._next = 0  # index in _handed of the batch that comes next when the caller writes again

    def open(self) -> None:
        if self._client is None:
            self._messages.open(self._context)
            self._client = self._connected()

    def write(self, batch: Batch) -> None:
        with self._settled_errors() as client:
            self._send(client, batch)

    def flush(self) -> DeliveryReport:
        with self._settled_errors() as client:
            client.drain()
        self._bytes.inc(sum(handed.value_bytes for handed in self._handed))
        refused = [error for handed in self._handed for error in handed.refused]
        self._handed.clear()
        self._next = 0
        return DeliveryReport(refused=refused) if refused else ALL_ACKED

    def suspend(self) -> None:
        self._next = 0
        self._lone.close()  # its message is sent again, and must not come later
        if not self._handed:
            self.close()

    def close(self) -> None:
        self._messages.close()
        if self._client is not None:
            self._discard(self._client)

    def _connected(self, settings: Mapping[str, str] | None = None) -> Client:
        """A client that a broker has answered. ``settings``: for one that loses no order, as it sends one message."""
        if self._topic.fixed is not None and not TOPIC_NAME.fullmatch(self._topic.fixed):
            raise SinkError(
                f"{self._topic.fixed[:_SHOWN]!r} is no topic name",
                kind="routing",
                hint="up to 249 of a-z A-Z 0-9 . _ -",
            )
        usual = self._config.producer_settings(self._context.pipeline, self._context.lane)
        if settings is not None:
            usual.pop("enable.gapless.guarantee", None)
        client = Client(
            {**usual, **(settings or {})},
            self._context,
            sink_id=self._config.id,
            timeout_secs=self._config.send_timeout_secs,
            headers=self._config.headers(self._context.shard),
        )
        try:
            with naming_unset(self._config.brokers, *self._config.client_conf.values()):
                client.connect()
            if self._topic.fixed is not None:
                if self._topics is not None:
                    self._topics.ensure([self._topic.fixed])
                client.find_topic(self._topic.fixed, self._config.topic_patience_secs)
        except SinkError:
            client.close()
            raise
        return client

    def _send(self, client: Client, batch: Batch) -> None:
        messages = self._messages.of(batch)
        values, targets = messages.values, messages.targets
        if self._topics is not None:
            self._topics.ensure(targets.destinations())
        handed = self._handed_as(batch, values.byte_count)
        for suspect in self._alone(values, handed.count):
            if suspect < handed.count:
                continue  # its event was refused
            self._send_rows(client, values, targets, handed, suspect)
            client.drain()
            self._send_alone(values, targets, handed, suspect)
        self._send_rows(client, values, targets, handed, len(values))

    def _send_rows(self, client: Client, values: EncodedValues, targets: Targets, handed: Handed, stop: int) -> None:
        """Hand the producer what it does not have, up to a place."""
        for count in client.send_rows(values, targets, handed.count, stop):
            handed.count = count
            reached("mid_produce")

    def _alone(self, values: EncodedValues, start: int) -> Sequence[int]:
        """The places of messages that are not sent together with others."""
        return self._suspects.among(values, start)

    def _send_alone(self, values: EncodedValues, targets: Targets, handed: Handed, index: int) -> None:
        failed = self._lone.refusal(values, targets, index)
        self._suspects.asked(values[index], is_refused=failed is not None)
        handed.count = index + 1
        if failed is not None:
            handed.refused.append(refused_event(failed, handed.batch, values.event_of(index)))
            handed.count = end_of_event(values, index)

    def _handed_as(self, batch: Batch, value_bytes: int) -> Handed:
        """Where this batch stands: among those that the producer already has, or new."""
        if self._next < len(self._handed) and self._handed[self._next].batch is not batch:
            # What waits in the producer must not come out before or between these batches.
            raise SinkError("the batches in doubt are not written again as they were", kind="io")
        if self._next == len(self._handed):
            self._handed.append(Handed(batch, value_bytes))
        self._next += 1
        return self._handed[self._next - 1]

    @contextmanager
    def _settled_errors(self) -> Iterator[Client]:
        """After an error all is written again, either into the producer as it stands or into another one."""
        client = self._client
        if client is None:
            raise SinkError("the kafka sink is not open", kind="connect")
        try:
            yield client
        except (RecordError, StalledError):
            self._next = 0
            raise
        except SinkError as error:
            if isinstance(error, FailedError) and error.index is not None:
                self._next = 0
                if not error.index:
                    self._handed.pop()  # nothing of its batch is in the producer, and the batch will be another one
                raise _refused(error, error.index) from error
            try:
                blamed = self._blamed(error) if isinstance(error, FailedError) else None
            finally:
                self._discard(client)
            raise blamed or error from error

    def _blamed(self, error: FailedError) -> RecordError | None:
        """The error as the fault of the event it most likely came with; None if it is not an event's fault."""
        if error.sent is None or error.kind not in ("serialization", "routing"):
            return None
        for batch in (handed.batch for handed in self._handed):
            index = _event_of(error.sent, self._messages.of(batch))
            if index is None:
                continue
            if error.kind == "routing" and not self._topic.is_of_event(batch.events()[index]):
                return None  # the one topic of the sink is missing: putting its events aside would lose them all
            # The messages of one event fail together; that the largest is at fault is all that sizes can tell.
            is_alone = error.is_alone or sum(handed.batch.event_count for handed in self._handed) == 1
            if error.kind == "serialization" and is_alone:
                self._suspects.asked(error.sent.value, is_refused=True)
            blamed = refused_event(error, batch, index)
            blamed.written_count = None
            blamed.is_certain = is_alone or error.kind == "routing"
            return blamed
        return None

    def _discard(self, client: Client) -> None:
        self._client, self._next = None, 0
        self._handed.clear()
        self._lone.close()
        client.close()


def _event_of(sent: Sent, messages: Outgoing) -> int | None:
    """The place of the event that a message was of; None: it is not among these. What is equal is refused alike."""
    values, targets = messages.values, messages.targets
    for index, value in enumerate(values):
        event = values.event_of(index)
        if value == sent.value and sent == (targets.destination(event), key_of(values, targets, index), value):
            return event
    return None


def _refused(error: FailedError, index: int) -> RecordError:
    """The error of a message that the producer did not take; it has those before it."""
    refused = RecordError(error.message, index=index, kind=error.kind, hint=error.hint)
    refused.written_count = index
    return refused
