"""Where pipelines of a test deliver to, and how the test reads it back."""

import json

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka.positions import PositionsTopic
from tests.pipelines import file_events, file_sink, wait_for


class FileDestination:
    def __init__(self, folder):
        self._path = folder / "out.jsonl"
        self.sink = file_sink(self._path)

    def events(self):
        """Everything delivered so far, in order."""
        return file_events(self._path)


class KafkaDestination:
    """One topic of one partition."""

    def __init__(self, broker, topic, *, bootstrap=None, **config):
        self._broker, self._topic = broker, topic
        config = {"id": "kafka", "brokers": bootstrap or broker.bootstrap, "topic": topic, **config}
        self.sink = {"type": "kafka", "config": config}

    def events(self):
        return [json.loads(message.value()) for message in self._broker.messages(self._topic)]


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


class RedisDestination:
    """One stream."""

    def __init__(self, server, stream, *, port=None, **config):
        self._server, self._stream = server, stream
        uri = f"redis://{server.host}:{port or server.port}"
        self.sink = {"type": "redis", "config": {"id": "redis", "uri": uri, "stream": stream, **config}}

    def events(self):
        with self._server.connect() as client:
            return [json.loads(fields[b"df-event"]) for _, fields in client.xrange(self._stream)]
