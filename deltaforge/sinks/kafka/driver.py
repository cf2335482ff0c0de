"""Two ways into librdkafka: through the compiled kernel, and through confluent-kafka where there is none.

Both open the library that confluent-kafka brings along. Reports of what happened are pairs of kind and
content: ``delivery`` (error name, text, topic, key, value), ``error`` and ``fatal`` (error name, text), ``statistics``
(JSON), ``log`` (syslog level, text).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from deltaforge.core.encoded import EncodedValues
from deltaforge.core.errors import MissingDependencyError
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import Compiled, Targets

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

Report = tuple[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


class RefusedError(Exception):
    """librdkafka refused a setting, a message or a request.

    ``is_retriable``: making the same request about a transaction again goes on where it was.
    """

    def __init__(self, name: str, text: str, index: int | None = None, *, is_retriable: bool = False) -> None:
        super().__init__(name, text)
        self.name, self.text, self.index, self.is_retriable = name, text, index, is_retriable


class Driver(Protocol):
    """A producer without any policy.

    Attributes:
        headers: What :meth:`fix_headers` was given.
    """

    headers: Mapping[str, str]

    def __len__(self) -> int:
        """Messages that are not acknowledged, and reports that were not fetched. Once it is 0, every failure of a
        message handed over before has been returned by a call of :meth:`reports`.
        """

    def connect(self, secs: float) -> None:
        """Ask a broker who the brokers are.

        Raises:
            RefusedError: None answered in time.
        """

    def find_topic(self, topic: str, secs: float) -> None:
        """Ask a broker for a topic, which may make it create the topic.

        Raises:
            RefusedError: It is not there (yet), or none answered in time.
        """

    def produce(self, topic: str, value: bytes | None, key: bytes | None, headers: Mapping[str, str | bytes]) -> bool:
        """Queue a message; False if the queue is full.

        Raises:
            RefusedError: It can never be taken.
        """

    def fix_headers(self, headers: Mapping[str, str]) -> None:
        """Give every message of :meth:`produce_rows` these headers. To be called once, before any."""

    def produce_rows(self, values: EncodedValues, targets: Targets, start: int, stop: int) -> int:
        """Queue messages by their places; the place of the first that found the queue full, or ``stop``.

        Raises:
            RefusedError: The message at ``index`` can never be taken; those before it are queued.
        """

    def reports(self, secs: float = 0) -> list[Report]:
        """What was reported since the last call. Waits so long for the first one; a message that was acknowledged is
        one if the setting ``delivery.report.only.error`` is ``false``.
        """

    def flush(self, secs: float) -> None:
        """Send at once and wait for acknowledgements."""

    def purge(self) -> None:
        """Throw away all messages."""

    def init_transactions(self, secs: float) -> None:
        """Fence older producers of the same ``transactional.id`` and end their transactions.

        Raises:
            RefusedError: It failed or takes longer.
        """

    def begin_transaction(self) -> None:
        """Open a transaction.

        Raises:
            RefusedError: The producer has failed.
        """

    def commit_transaction(self, secs: float) -> None:
        """Commit; every message has to be acknowledged before. Once only, and nothing is aborted after it.

        Raises:
            RefusedError: It failed or takes longer.
        """

    def abort_transaction(self, secs: float) -> None:
        """Throw away what was produced since the transaction began.

        Raises:
            RefusedError: It failed or takes longer.
        """

    def close(self) -> None:
        """Purge and disconnect. Nothing may be called after it."""


def new_driver(settings: Mapping[str, str], log: logging.Logger) -> Driver:
    """The fastest driver there is.

    Raises:
        MissingDependencyError: confluent-kafka is not installed.
        RefusedError: A setting is wrong.
    """
    try:
        import confluent_kafka
    except ImportError as exc:
        raise MissingDependencyError(
            "the kafka sink needs the `confluent-kafka` package", hint="pip install confluent-kafka"
        ) from exc
    settings = {"delivery.report.only.error": "true", **settings}
    if compiled is not None:
        folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
        library = next(folder.glob("librdkafka-*.so*"), None)
        try:
            return CompiledDriver(compiled, str(library or folder / "librdkafka"), settings)
        except OSError as exc:
            log.warning("messages go to Kafka one by one: the kernel cannot use the librdkafka that is there: %s", exc)
    return ConfluentDriver(settings, log)


class CompiledDriver:
    """The kernel's producer."""

    def __init__(self, kernel: Compiled, library: str, settings: dict[str, str]) -> None:
        self._kernel = kernel
        self.headers: Mapping[str, str] = {}
        self._producer = self._asked(kernel.KafkaProducer, library, settings)

    def __len__(self) -> int:
        return len(self._producer)

    def connect(self, secs: float) -> None:
        self._asked(self._producer.connect, int(secs * 1000))

    def find_topic(self, topic: str, secs: float) -> None:
        self._asked(self._producer.find_topic, topic, int(secs * 1000))

    def produce(self, topic: str, value: bytes | None, key: bytes | None, headers: Mapping[str, str | bytes]) -> bool:
        return self._asked(self._producer.produce, topic, value, key, headers)

    def fix_headers(self, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._producer.fix_headers(dict(headers))

    def produce_rows(self, values: EncodedValues, targets: Targets, start: int, stop: int) -> int:
        if not (isinstance(values, self._kernel.EncodedEvents) and isinstance(targets, self._kernel.Targets)):
            return _one_by_one(self, values, targets, start, stop)
        return self._asked(self._producer.produce_rows, values, targets, start, stop)

    def reports(self, secs: float = 0) -> list[Report]:
        return [*self._producer.poll(int(secs * 1000))]

    def flush(self, secs: float) -> None:
        self._producer.flush(int(secs * 1000))

    def purge(self) -> None:
        self._producer.purge()

    def init_transactions(self, secs: float) -> None:
        self._asked(self._producer.init_transactions, int(secs * 1000))

    def begin_transaction(self) -> None:
        self._asked(self._producer.begin_transaction)

    def commit_transaction(self, secs: float) -> None:
        self._asked(self._producer.commit_transaction, int(secs * 1000))

    def abort_transaction(self, secs: float) -> None:
        self._asked(self._producer.abort_transaction, int(secs * 1000))

    def close(self) -> None:
        self._producer.close()

    def _asked(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except self._kernel.KafkaRefusal as exc:
            raise RefusedError(*exc.args, is_retriable=exc.is_retriable) from exc


class ConfluentDriver:
    """confluent-kafka's producer: a Python call for each message."""

    def __init__(self, settings: dict[str, str], log: logging.Logger) -> None:
        from confluent_kafka import KafkaException, Producer

        self._errors = KafkaException
        self._reports: deque[Report] = deque()
        self.headers: Mapping[str, str] = {}
        everything: dict[str, Any] = {
            **settings,
            # the client library reads this one itself, and takes no text
            "delivery.report.only.error": settings["delivery.report.only.error"] == "true",
            "error_cb": lambda error: self._reports.append(("error", (error.name(), error.str()))),
            "stats_cb": lambda text: self._reports.append(("statistics", text)),
        }
        try:
            self._producer: Producer = Producer(everything, logger=log)
        except KafkaException as exc:
            raise _refused(exc) from exc

    def __len__(self) -> int:
        return len(self._producer)

    def connect(self, secs: float) -> None:
        self._asked("list_topics", timeout=secs)

    def find_topic(self, topic: str, secs: float) -> None:
        try:
            error = self._producer.list_topics(topic, timeout=secs).topics[topic].error
        except self._errors as exc:
            raise _refused(exc) from exc
        if error is not None:
            raise RefusedError(error.name(), error.str())

    def produce(self, topic: str, value: bytes | None, key: bytes | None, headers: Mapping[str, str | bytes]) -> bool:
        try:
            self._producer.produce(topic, value, key, headers=[*headers.items()], on_delivery=self._on_delivery)
        except BufferError:
            return False
        except self._errors as exc:
            raise _refused(exc) from exc
        return True

    def fix_headers(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def produce_rows(self, values: EncodedValues, targets: Targets, start: int, stop: int) -> int:
        return _one_by_one(self, values, targets, start, stop)

    def reports(self, secs: float = 0) -> list[Report]:
        self._serve(self._producer.poll, secs)
        return [self._reports.popleft() for _ in range(len(self._reports))]

    def flush(self, secs: float) -> None:
        self._serve(self._producer.flush, secs)

    def purge(self) -> None:
        self._producer.purge()

    def init_transactions(self, secs: float) -> None:
        self._asked("init_transactions", secs)

    def begin_transaction(self) -> None:
        self._asked("begin_transaction")

    def commit_transaction(self, secs: float) -> None:
        self._asked("commit_transaction", secs)

    def abort_transaction(self, secs: float) -> None:
        self._asked("abort_transaction", secs)

    def close(self) -> None:
        self._producer.purge()
        del self._producer  # its last reference: the client library has no other way to disconnect

    def _asked(self, name: str, *args: Any, **kwargs: Any) -> None:
        """By its name: a method would be kept by the traceback of an error, and with it the producer, after the end."""
        try:
            getattr(self._producer, name)(*args, **kwargs)
        except self._errors as exc:
            raise _refused(exc) from exc

    def _serve(self, serve: Any, secs: float) -> None:
        """Fatal errors do not reach ``error_cb``: whoever serves the callbacks gets them raised."""
        try:
            serve(secs)
        except self._errors as exc:
            self._reports.append(("fatal", (exc.args[0].name(), exc.args[0].str())))

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            about = (error.name(), error.str(), message.topic() or "", message.key(), message.value())
            self._reports.append(("delivery", about))


def key_of(values: EncodedValues, targets: Targets, index: int) -> bytes | None:
    """The key of the message at ``index``; None: it has none."""
    key = targets.key(values.event_of(index))
    return values.key(index) if key is None else key


def _one_by_one(driver: Driver, values: EncodedValues, targets: Targets, start: int, stop: int) -> int:
    for index in range(start, stop):
        event = values.event_of(index)
        headers: dict[str, str | bytes] = {**driver.headers, **targets.headers(event), **values.headers(index)}
        try:
            if not driver.produce(targets.destination(event), values[index], key_of(values, targets, index), headers):
                return index
        except RefusedError as error:
            error.index = index
            raise
    return stop


def _refused(error: Exception) -> RefusedError:
    about = error.args[0]
    return RefusedError(about.name(), about.str(), is_retriable=about.retriable())
