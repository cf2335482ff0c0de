"""A producer with its callbacks: what waits, what failed, and why nothing moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from deltaforge.core.errors import MissingDependencyError, SinkError
from deltaforge.sinks.base import SinkContext

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

POLL_SECS = 0.2

_KINDS = {
    "auth": ("_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM",
             "ILLEGAL_SASL_STATE", "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"),
    "connect": ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE"),
    "timeout": ("_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "REQUEST_TIMED_OUT"),
    "fatal": ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"),
    "serialization": ("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"),
    "routing": ("_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION"),
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_HINTS = {
    "MSG_SIZE_TOO_LARGE": "raise message.max.bytes in client_conf and max.message.bytes of the topic",
    "_UNKNOWN_TOPIC": "create the topic, or let the broker create topics",
}


class StalledError(SinkError):
    """No progress for too long; the messages still wait in the producer."""


class FailedError(SinkError):
    """A message, or the whole producer, failed for good. ``value``: of the message, if it was one."""

    def __init__(self, error: KafkaError, value: bytes | None) -> None:
        name = error.name()
        super().__init__(
            f"kafka did not take a message: {error.str()} ({name})",
            kind=_KIND_OF.get(name, "io"),
            hint=_HINTS.get(name, ""),
        )
        self.value = value


class _BrokerStatistics(msgspec.Struct):
    txretries: int = 0


class _Statistics(msgspec.Struct):
    """What we read of librdkafka's STATISTICS.md."""

    msg_cnt: int = 0
    msg_size: int = 0
    brokers: dict[str, _BrokerStatistics] = {}


class Client:
    """A producer and the thread that serves its callbacks, also while the pipeline is idle."""

    def __init__(self, settings: Mapping[str, str], context: SinkContext, *, sink_id: str, timeout_secs: float) -> None:
        try:
            from confluent_kafka import KafkaException, Producer
        except ImportError as exc:
            raise MissingDependencyError(
                "the kafka sink needs the `confluent-kafka` package", hint="pip install confluent-kafka"
            ) from exc
        self._client_errors = KafkaException
        self._timeout_secs = timeout_secs
        labels, metrics = (context.pipeline, sink_id), context.metrics
        self._retries = metrics.kafka_retries.labels(*labels)
        self._queue_messages = metrics.kafka_queue_messages.labels(*labels)
        self._queue_bytes = metrics.kafka_queue_bytes.labels(*labels)
        self._retry_count = 0
        self._failures: dict[str, FailedError] = {}
        self._trouble: KafkaError | None = None
        everything: dict[str, Any] = {
            **settings,
            "delivery.report.only.error": True,
            "error_cb": self._on_error,
            "stats_cb": self._on_statistics,
        }
        try:
            self._producer: Producer = Producer(everything, logger=log.getChild("client"))
        except KafkaException as exc:
            raise SinkError(f"kafka client settings are wrong: {exc.args[0].str()}", hint="see client_conf") from exc
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"kafka-{sink_id}", daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """Return once a broker has answered.

        Raises:
            SinkError: None did within the time limit, or it refused us.
        """
        progress = self._progress()
        while True:
            try:
                self._producer.list_topics(timeout=POLL_SECS)
            except self._client_errors as exc:
                self._trouble = self._trouble or exc.args[0]
                self._check()
                progress.check(0)
            else:
                self._trouble = None
                return

    def send(self, value: bytes, topic: str, key: bytes, headers: dict[str, str]) -> None:
        """Put a message into the producer's queue; waits while the queue is full."""
        progress = None
        while True:
            try:
                return self._producer.produce(
                    topic, value, key, headers=[*headers.items()], on_delivery=self._on_delivery
                )
            except BufferError:
                progress = progress or self._progress()
                self._poll(POLL_SECS / 10)
                self._check()
                progress.check(len(self._producer))
            except self._client_errors as exc:
                raise self._failure(FailedError(exc.args[0], value)) from exc

    def drain(self) -> None:
        """Return when every message is acknowledged."""
        progress = self._progress()
        while waiting := self._flush():
            self._check()
            progress.check(waiting)
        if self._failures:
            raise self._failure()
        self._trouble = None

    def close(self) -> None:
        """Throw away what waits, disconnect and end the thread. Nothing may be called after it."""
        self._is_closing.set()
        self._thread.join()
        self._producer.purge()
        del self._producer  # its last reference: the client library has no other way to disconnect

    def _check(self) -> None:
        """Raise what cannot be waited out."""
        if self._failures:
            raise self._failure()
        trouble = self._trouble
        if trouble is not None and _KIND_OF.get(trouble.name()) == "auth":
            raise SinkError(f"kafka refuses us: {trouble.str()}", kind="auth")

    def _failure(self, error: FailedError | None = None) -> FailedError:
        """The cause, among the failures that one failed message draws after itself."""
        self._producer.purge()
        self._flush()
        found = [*([error] if error else []), *self._failures.values()]
        return min(found, key=lambda failure: failure.kind not in ("serialization", "routing", "auth"))

    def _progress(self) -> _Progress:
        return _Progress(self._timeout_secs, lambda: self._trouble)

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            self._poll(POLL_SECS)

    def _poll(self, secs: float) -> None:
        with self._fatal_errors():
            self._producer.poll(secs)

    def _flush(self) -> int:
        """Wait a moment for acknowledgements; the number of messages that still have none."""
        with self._fatal_errors():
            self._producer.flush(POLL_SECS)
        return len(self._producer)

    @contextmanager
    def _fatal_errors(self) -> Iterator[None]:
        """Fatal errors of the producer do not reach ``error_cb``: whoever serves the callbacks gets them raised."""
        try:
            yield
        except self._client_errors as exc:
            error = exc.args[0]
            self._failures.setdefault(error.name(), FailedError(error, None))

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None or error.name() in ("_PURGE_QUEUE", "_PURGE_INFLIGHT"):
            return
        value, known = message.value(), self._failures.get(error.name())
        # A whole request is refused for the size of one message in it: most likely the largest.
        if known is None or len(value or b"") > len(known.value or b""):
            self._failures[error.name()] = FailedError(error, value)

    def _on_error(self, error: KafkaError) -> None:
        if self._trouble is None or _KIND_OF.get(self._trouble.name()) != "auth":
            self._trouble = error

    def _on_statistics(self, text: str) -> None:
        statistics = msgspec.json.decode(text, type=_Statistics)
        self._queue_messages.set(statistics.msg_cnt)
        self._queue_bytes.set(statistics.msg_size)
        retry_count = sum(broker.txretries for broker in statistics.brokers.values())
        self._retries.inc(max(0, retry_count - self._retry_count))
        self._retry_count = retry_count


class _Progress:
    """Notices that the number of waiting messages has stopped falling."""

    def __init__(self, timeout_secs: float, trouble: Callable[[], KafkaError | None]) -> None:
        self._timeout_secs = timeout_secs
        self._trouble = trouble
        self._least: int | None = None
        self._deadline = 0.0

    def check(self, waiting: int) -> None:
        """Take note of the number of waiting messages.

        Raises:
            StalledError: It has not fallen for too long.
        """
        now = time.monotonic()
        if self._least is None or waiting < self._least:
            self._least, self._deadline = waiting, now + self._timeout_secs
        elif now > self._deadline:
            trouble = self._trouble()
            reason = f": {trouble.str()}" if trouble else ""
            kind = "connect" if trouble and _KIND_OF.get(trouble.name()) == "connect" else "timeout"
            raise StalledError(f"kafka made no progress for {self._timeout_secs:g} s{reason}", kind=kind)
