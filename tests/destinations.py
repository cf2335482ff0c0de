"""Where pipelines of a test deliver to, and how the test reads it back."""

import json

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka.positions import PositionsTopic
from tests.pipelines import file_sink, wait_for


class Destination:
    """What has been read once is not read again: a destination only grows."""

    def __init__(self, sink):
        self.sink = sink
        self._events = []

    def events(self):
        """Everything delivered so far, in order."""
        self._events += map(json.loads, self._added())
        return list(self._events)

    def streams(self):
        """The same in parts that each have an order of their own."""
        return [self.events()]


class FileDestination(Destination):
    def __init__(self, folder, name="out.jsonl"):
        self._path = folder / name
        self._end = 0
        super().__init__(file_sink(self._path))

    def _added(self):
        """The lines behind those that were read; a last one that is not whole may be cut off again."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._end)
            lines = file.read().split(b"\n")[:-1]
        self._end += sum(len(line) + 1 for line in lines)
        return lines


class LaneFiles(Destination):
    """A file for each of some lanes."""

    def __init__(self, folder, count):
        self._lanes = [FileDestination(folder, f"out.{lane}.jsonl") for lane in range(count)]
        self._known = [0] * count
        super().__init__(file_sink(folder / "out.jsonl"))

    def events(self):
        for lane, events in enumerate(self.streams()):
            self._events += events[self._known[lane] :]
            self._known[lane] = len(events)
        return list(self._events)

    def streams(self):
        return [lane.events() for lane in self._lanes]


class KafkaDestination(Destination):
    """One topic of one partition."""

    def __init__(self, broker, topic, *, bootstrap=None, **config):
        self._broker, self._topic = broker, topic
        self._next = 0
        config = {"id": "kafka", "brokers": bootstrap or broker.bootstrap, "topic": topic, **config}
        super().__init__({"type": "kafka", "config": config})

    def _added(self):
        for message in self._broker.messages(self._topic, start=self._next):
            self._next = message.offset() + 1
            yield message.value()


class ExactlyOnceDestination(KafkaDestination):
    """A topic whose pipelines have a ``transactional.id`` of their own, named as the topic."""

    def __init__(self, broker, topic, *, client_conf=None, **config):
        conf = {"transactional.id": topic, **(client_conf or {})}
        super().__init__(broker, topic, exactly_once=True, client_conf=conf, **config)
        settings = {"bootstrap.servers": broker.bootstrap, "transactional.id": topic, "log_level": "2"}
        self._positions = PositionsTopic(settings, 20)

    def progress(self):
        """How far the sink is by its topic of positions; None before its first row."""
        try:
            record = self._positions.read()
        except SinkError:
            return None  # the pipeline has not created the topic yet
        return record and record.progress

    def committed_end(self):
        """Where readers of committed messages stand at the end of the topic."""
        place = TopicPartition(self._topic, 0)
        request = {place: OffsetSpec.latest()}
        admin = AdminClient({"bootstrap.servers": self._broker.bootstrap})
        return admin.list_offsets(request, isolation_level=IsolationLevel.READ_COMMITTED)[place].result(20).offset

    def forget(self):
        """Delete the positions."""
        admin = AdminClient({"bootstrap.servers": self._broker.bootstrap})
        admin.delete_topics([self._positions.name], operation_timeout=20)[self._positions.name].result(20)
        wait_for(lambda: self._positions.name not in admin.list_topics(timeout=20).topics)


class RedisDestination(Destination):
    """One stream."""

    def __init__(self, server, stream, *, port=None, **config):
        self._server, self._stream = server, stream
        self._last = b"-"
        uri = f"redis://{server.host}:{port or server.port}"
        super().__init__({"type": "redis", "config": {"id": "redis", "uri": uri, "stream": stream, **config}})

    def _added(self):
        with self._server.connect() as client:
            for entry, fields in client.xrange(self._stream, min=self._last):
                self._last = b"(" + entry
                yield fields[b"df-event"]
