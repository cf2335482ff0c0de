"""Where pipelines of a test deliver to, and how the test reads it back."""

import json

from tests.pipelines import file_events, file_sink


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


class RedisDestination:
    """One stream."""

    def __init__(self, server, stream, *, port=None, **config):
        self._server, self._stream = server, stream
        uri = f"redis://{server.host}:{port or server.port}"
        self.sink = {"type": "redis", "config": {"id": "redis", "uri": uri, "stream": stream, **config}}

    def events(self):
        with self._server.connect() as client:
            return [json.loads(fields[b"df-event"]) for _, fields in client.xrange(self._stream)]
