"""A producer with its callbacks: what waits, what failed, and why nothing moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from deltaforge.core.encoded import EncodedValues
from deltaforge.core.errors import SinkError
from deltaforge.kernel.backend import Targets
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka.driver import RefusedError, key_of, new_driver
from deltaforge.sinks.kafka.errors import FailedError, Sent
from deltaforge.sinks.kafka.progress import Progress, Trouble

log = logging.getLogger(__name__)

POLL_SECS = 0.2
FIRST_POLL_SECS = 0.002
PURGE_SECS = 5.0
ROOM_SECS = 0.005


class _BrokerStatistics(msgspec.Struct):
    txretries: int = 0


class _Statistics(msgspec.Struct):
    """What we read of librdkafka's STATISTICS.md."""

    msg_cnt: int = 0
    msg_size: int = 0
    brokers: dict[str, _BrokerStatistics] = {}


class Client:
    """A producer and the thread that serves its reports, also while the pipeline is idle."""

    def __init__(
        self,
        settings: Mapping[str, str],
        context: SinkContext,
        *,
        sink_id: str,
        timeout_secs: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout_secs = timeout_secs
        self._waiting = context.waiting
        labels, metrics = (context.pipeline, sink_id), context.metrics
        self._retries = metrics.kafka_retries.labels(*labels)
        self._queue_messages = metrics.kafka_queue_messages.labels(*labels)
        self._queue_bytes = metrics.kafka_queue_bytes.labels(*labels)
        self._queued = 0, 0  # messages and bytes, as the statistics said last
        self._retry_count = 0
        self._failures: dict[str, FailedError] = {}
        self._trouble: Trouble | None = None
        self.has_transaction = False  # is open, and may be aborted
        self._committing: Progress | None = None
        self._reporting = threading.Lock()  # from fetching reports to having noted them
        self._log = log.getChild("client")
        try:
            self._driver = new_driver(settings, self._log)
            self._driver.fix_headers(headers or {})
        except RefusedError as exc:
            raise SinkError(f"kafka client settings are wrong: {exc.text}", hint="see client_conf") from exc
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
                self._driver.connect(POLL_SECS)
            except RefusedError as exc:
                self._trouble = self._trouble or Trouble(exc.name, exc.text)
                self._check()
                progress.check(0)
            else:
                self._trouble = None
                return

    def find_topic(self, topic: str, patience_secs: float) -> None:
        """Return once the brokers have a topic. Asking for it makes those that create topics create it.

        Raises:
            SinkError: It is not there after ``patience_secs``, may not be used, or no broker answered.
        """
        progress, until = self._progress(), time.monotonic() + patience_secs
        while True:
            try:
                return self._driver.find_topic(topic, POLL_SECS)
            except RefusedError as exc:
                error = FailedError(exc.name, exc.text, None, topic=topic, what="show a topic")
                if exc.name == "LEADER_NOT_AVAILABLE":
                    return None  # it is there; messages wait for its leader
                if error.kind == "auth" or (error.kind == "routing" and time.monotonic() > until):
                    raise error from exc
                self._take_reports()
                self._check()
                progress.check(0)
                time.sleep(ROOM_SECS)

    def send(self, value: bytes, topic: str, key: bytes) -> None:
        """Put a message into the producer's queue; waits while the queue is full."""
        try:
            if self._driver.produce(topic, value, key, {}):
                return
            progress = self._progress()
            while not self._driver.produce(topic, value, key, {}):
                self._wait_for_room(progress)
        except RefusedError as exc:
            raise self._refusal(exc, Sent(topic, key, value)) from exc

    def send_rows(self, values: EncodedValues, targets: Targets, start: int, stop: int) -> Iterator[int]:
        """Put messages into the queue, waiting for room.

        Yields how far it is, so that the caller knows it also after an error.
        """
        progress = self._progress()
        try:
            while start < stop:
                start = self._driver.produce_rows(values, targets, start, stop)
                yield start
                if start < stop:
                    self._wait_for_room(progress)
        except RefusedError as exc:
            if exc.index is None:
                raise self._refusal(exc, None) from exc
            event = values.event_of(exc.index)
            is_first = exc.index == 0 or values.event_of(exc.index - 1) != event
            sent = Sent(targets.destination(event), key_of(values, targets, exc.index), values[exc.index])
            raise self._refusal(exc, sent, event if is_first else None) from exc

    def drain(self) -> None:
        """Return when every message is acknowledged."""
        progress = self._progress()
        for waiting in self._flushes():
            self._check()
            progress.check(waiting)
        if self._failures:
            raise self._failure()
        self._trouble = None

    def refusal(self, values: EncodedValues, targets: Targets, index: int) -> FailedError | None:
        """Send one of the messages while no other waits: why it is refused for what it is; None: it is acknowledged.
        The settings have each message reported, and none lingers.

        Raises:
            SinkError: Something else has failed.
        """
        progress = self._progress()
        for _ in self.send_rows(values, targets, index, index + 1):
            pass
        while waiting := len(self._driver):
            self._take_reports(POLL_SECS)  # its report ends the waiting
            progress.check(waiting)
        self._take_reports()
        failed = next(iter(self._failures.values()), None)
        if failed is not None and (len(self._failures) > 1 or failed.sent is None or failed.kind != "serialization"):
            raise self._failure()
        self._failures.clear()
        return failed

    def init_transactions(self) -> None:
        """Fence older producers of the same ``transactional.id`` and end their transactions.

        Raises:
            SinkError: It failed, or took too long.
        """
        progress = self._progress()
        while True:
            try:
                return self._driver.init_transactions(POLL_SECS)
            except RefusedError as exc:
                self._take_reports()
                if not exc.is_retriable:
                    raise self._failed("begin with transactions", exc) from exc
                self._check()
                progress.check(0)

    def begin_transaction(self) -> None:
        """Open a transaction.

        Raises:
            FailedError: The producer has failed.
        """
        try:
            self._driver.begin_transaction()
        except RefusedError as exc:
            raise self._failed("begin a transaction", exc) from exc
        self.has_transaction = True

    def commit_transaction(self) -> None:
        """Commit everything sent since the transaction began. It must be acknowledged: see :meth:`drain`.

        Asked for once, with all the time there is, and nothing is asked for after it failed. librdkafka takes the
        broker's answer for that of whichever call is under way when it comes: if that is not this commit, it ends the
        process. And a call that is repeated may take the result of an earlier one for its own.

        Raises:
            SinkError: It failed, or took too long. Whether it is committed is not known then.
        """
        self.has_transaction = False
        self._committing = progress = self._progress()
        progress.check(0)
        try:
            self._driver.commit_transaction(self._timeout_secs)
        except RefusedError as exc:
            self._take_reports()
            if exc.name != "_TIMED_OUT":
                raise self._failed("commit a transaction", exc) from exc
            self._check()
            raise progress.stalled() from exc
        finally:
            self._committing = None

    def abort_transaction(self, secs: float) -> bool:
        """Throw away what was sent since the transaction began. Not after a commit that was asked for: see there.

        Returns:
            Whether the broker could be told within ``secs``. If not, a successor tells it, or the time limit of the
            transaction ends it, and this producer begins no other.
        """
        self.has_transaction = False
        if len(self._driver):
            self._driver.purge()
        try:
            self._driver.abort_transaction(secs)
        except RefusedError as exc:
            self._log.info("a transaction was left to its end: %s", exc.text)
            return False
        return True

    def _failed(self, what: str, refused: RefusedError) -> FailedError:
        return self._failure(FailedError(refused.name, refused.text, None, what=what))

    def close(self) -> None:
        """Throw away what waits, disconnect and end the thread. Nothing may be called after it."""
        self._is_closing.set()
        self._thread.join()
        self._note_queue(0, 0)
        self._driver.close()

    def _note_queue(self, messages: int, size: int) -> None:
        """What waits in the client: lanes have one each, and the metrics have all of it."""
        self._queue_messages.inc(messages - self._queued[0])
        self._queue_bytes.inc(size - self._queued[1])
        self._queued = messages, size

    def _refusal(self, refused: RefusedError, sent: Sent | None, event: int | None = None) -> FailedError:
        error = FailedError(refused.name, refused.text, sent, index=event)
        if error.index is not None and error.kind == "serialization" and not self._failures:
            return error
        error.index = None
        return self._failure(error)

    def _wait_for_room(self, progress: Progress) -> None:
        time.sleep(ROOM_SECS)
        self._take_reports()
        self._check()
        progress.check(len(self._driver))

    def _check(self) -> None:
        """Raise what cannot be waited out."""
        if self._failures:
            raise self._failure()
        trouble = self._trouble
        if trouble is not None and trouble.kind == "auth":
            raise SinkError(f"kafka refuses us: {trouble.text}", kind="auth")

    def _failure(self, error: FailedError | None = None) -> FailedError:
        """The cause, among the failures that one failed message draws after itself."""
        self._driver.purge()
        until = time.monotonic() + PURGE_SECS
        for _ in self._flushes():  # each message says why it failed, also those that a purge did not reach
            if time.monotonic() > until:
                break
        found = [*([error] if error else []), *self._failures.values()]
        return min(found, key=lambda failure: failure.kind not in ("serialization", "routing", "auth"))

    def _progress(self) -> Progress:
        return Progress(self._timeout_secs, lambda: self._trouble, self._waiting)

    def _serve(self) -> None:
        while not self._is_closing.wait(POLL_SECS):
            self._take_reports()
            if (committing := self._committing) is not None:
                committing.show()

    def _flushes(self) -> Iterator[int]:
        """Wait for acknowledgements, and say again and again how many messages still have none, until all have.

        A failure is known once its report is fetched: looked for soon, and ever less often while nothing comes.
        """
        secs = FIRST_POLL_SECS
        while True:
            self._driver.flush(secs)
            waiting = len(self._driver)
            # In this order: what the other thread has fetched by now is noted when the lock is free.
            self._take_reports()
            if not waiting:
                return
            yield waiting
            secs = min(2 * secs, POLL_SECS)

    def _take_reports(self, secs: float = 0) -> None:
        with self._reporting:
            for report in self._driver.reports(secs):
                self._take(*report)

    def _take(self, kind: str, content: Any) -> None:
        if kind == "delivery":
            name, text, *sent = content
            self._on_failed_delivery(name, text, Sent(*sent))
        elif kind == "fatal":
            self._failures.setdefault(content[0], FailedError(content[0], content[1], None))
        elif kind == "error":
            self._on_error(Trouble(*content))
        elif kind == "statistics":
            self._on_statistics(content)
        else:
            self._log.warning("%s", content[1])

    def _on_failed_delivery(self, name: str, text: str, sent: Sent) -> None:
        if name in ("_PURGE_QUEUE", "_PURGE_INFLIGHT"):
            return
        known = self._failures.get(name)
        if known is not None:
            known.is_alone = False
        # A whole request is refused for the size of one message in it: most likely the largest.
        if known is None or known.sent is None or sent.size > known.sent.size:
            self._failures[name] = FailedError(name, text, sent)
            self._failures[name].is_alone = known is None

    def _on_error(self, trouble: Trouble) -> None:
        if self._trouble is None or self._trouble.kind != "auth":
            self._trouble = trouble

    def _on_statistics(self, text: str) -> None:
        statistics = msgspec.json.decode(text, type=_Statistics)
        self._note_queue(statistics.msg_cnt, statistics.msg_size)
        retry_count = sum(broker.txretries for broker in statistics.brokers.values())
        self._retries.inc(max(0, retry_count - self._retry_count))
        self._retry_count = retry_count
