"""A sink is one file and two lines in the list of plug-ins: one that is thrown away again, and what it took."""

import ast
import inspect
import types
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import urlopen

import msgspec
import pytest
from pydantic import TypeAdapter

from deltaforge import plugins
from deltaforge.core.encoded import EncodedMessage, EncodedMessages
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import Routing
from deltaforge.core.retry import Retry, retry_of
from deltaforge.core.routing import row_key_bytes
from deltaforge.sinks import messages
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
    numbered_batch,
)
from tests.integration.sinks import list_sink
from tests.patience import LONG_SECS, patience_of

LINES = ("from tests.integration.sinks.list_sink import ListSinkSpec\n", "    | ListSinkSpec\n")
KNOWN = {"deltaforge.sinks.base", "deltaforge.sinks.messages"}
"""What a sink may know of the sinks."""


@pytest.fixture(scope="module")
def registered():
    """The list of plug-ins with two lines more."""
    text = inspect.getsource(plugins)
    for line, before in zip(LINES, ("from deltaforge.sinks.clickhouse", "    | RedisSinkSpec\n"), strict=True):
        assert text.count(before) == 1
        text = text.replace(before, line + before)
    assert len(text.splitlines()) == len(inspect.getsource(plugins).splitlines()) + 2
    module = types.ModuleType("plugins")
    exec(text, module.__dict__)  # noqa: S102 - a module of ours with two lines more
    return TypeAdapter(module.AnySink)


class ListTarget:
    patience_secs = LONG_SECS

    def __init__(self, registered, server, proxy):
        self.name = uuid.uuid4().hex
        self._registered, self._server, self._proxy = registered, server, proxy
        self.down, self.up, self.stall, self.unstall = proxy.down, proxy.up, proxy.stall, proxy.unstall

    def sink(self, *, destination="", **settings):
        return self._at(f"redis://127.0.0.1:{self._proxy.port}", list_name=destination or f"{self.name}.s", **settings)

    def unreachable(self):
        return self._at("redis://127.0.0.1:1")

    def unwelcome(self):
        return self._at(f"redis://user:wrong-password@127.0.0.1:{self._server.port}")

    def delivered(self):
        client = self._server.connect()
        try:
            return [
                Delivered(value, name.decode(), key.decode(), headers)
                for name in sorted(client.scan_iter(f"{self.name}.*", count=10_000))
                for value, key, headers in map(msgspec.msgpack.decode, client.lrange(name, 0, -1))
            ]
        finally:
            client.close()

    def _at(self, uri, **settings):
        config = {
            "id": "s",
            "uri": uri,
            "list_name": f"{self.name}.s",
            "send_timeout_secs": self.patience_secs,
        } | settings
        return self._registered.validate_python({"type": "redis_list", "config": config}).build(context())


@pytest.fixture
def target(request, registered, redis_server, fault_proxy):
    target = ListTarget(registered, redis_server, fault_proxy(redis_server.port))
    target.patience_secs = patience_of(request)
    return target


class TestListSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    """The contract."""


def test_it_is_one_file_that_knows_no_other_sink():
    tree = ast.parse(inspect.getsource(list_sink))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("deltaforge.sinks")} == KNOWN
    assert not [name for name in imported if name.startswith(("tests.", "deltaforge.runtime", "deltaforge.kernel"))]
    assert len(inspect.getsource(list_sink).splitlines()) < 120


def test_an_unknown_setting_of_it_is_refused_as_of_any_sink(registered):
    with pytest.raises(ValueError, match="lst_name"):
        registered.validate_python({"type": "redis_list", "config": {"id": "s", "uri": "redis://h", "lst_name": "x"}})


class Registry(BaseHTTPRequestHandler):
    """Gives each subject a number, as a registry of schemas does."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200 if self.server.is_up else 503)
        self.end_headers()
        self.wfile.write(str(sorted(set(self.server.asked)).index(self.path)).encode())

    def log_message(self, *_):
        pass


class NumberingEncoder:
    """Asks a registry about each run, and puts its answer into keys and values."""

    content_type = "application/x-numbered"

    def __init__(self, port):
        self._address = f"http://127.0.0.1:{port}"
        self.is_open = False
        self.runs = []
        self.moments = []

    def open(self, context):
        assert (context.pipeline, context.sink) == ("p", "s")
        self.is_open = True

    def close(self):
        self.is_open = False

    def encode(self, runs, now_ns):
        assert self.is_open
        self.moments.append(now_ns)
        messages = EncodedMessages()
        for run in runs:
            events = [event for group in run.groups for event in group.events()]
            self.runs.append((run.destination, len(events)))
            assert run.head().source.table == events[0].source.table
            number = self._ask(f"{self._address}/{run.destination}-{events[0].source.table}")
            for index, event in enumerate(events, run.at):
                if event.after["id"] == 13:
                    raise RecordError("cannot encode 13", index=index)
                message = EncodedMessage(
                    number + b":" + row_key_bytes(event, index), number + b":%d" % event.after["id"]
                )
                messages.append([message])
        return messages

    def _ask(self, address):
        try:
            with urlopen(address, timeout=LONG_SECS) as answer:
                return answer.read()
        except OSError as exc:
            raise SinkError("the registry does not answer", kind="connect") from exc


@pytest.fixture
def registry():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.asked, server.is_up = [], True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def numbering(registry, monkeypatch):
    encoder = NumberingEncoder(registry.server_port)
    monkeypatch.setattr(messages, "build_encoder", lambda *_: encoder)
    return encoder


def test_an_encoding_asks_its_server_once_for_each_run_and_encodes_keys_too(target, registry, numbering):
    a, b = (f"{target.name}.{name}" for name in "ab")
    routed = [
        msgspec.structs.replace(event, routing=Routing(topic=topic))
        for event, topic in zip(numbered_batch(1, 6).events(), (a, a, a, b, b, a), strict=True)
    ]
    sink = target.sink()
    sink.open()
    batch = numbered_batch(1).with_events(routed)
    batch.now_ns = 7
    sink.write(batch)
    sink.flush()
    assert numbering.is_open
    sink.close()

    assert (numbering.runs, numbering.moments) == ([(a, 3), (b, 2), (a, 1)], [7])
    assert registry.asked == [f"/{name}-t" for name in (a, b, a)]
    assert [(d.destination, d.key, d.value) for d in target.delivered()] == [
        *((a, f'0:{{"id":{n}}}', b"0:%d" % n) for n in (1, 2, 3, 6)),
        *((b, f'1:{{"id":{n}}}', b"1:%d" % n) for n in (4, 5)),
    ]
    assert not numbering.is_open
    assert sink._messages.content_type == "application/x-numbered"


def test_an_encoding_without_its_server_is_retried_and_a_bad_event_named_by_its_place_in_the_batch(
    target, registry, numbering
):
    sink = target.sink(destination=f"{target.name}.${{after.id}}")
    sink.open()
    registry.is_up = False
    with pytest.raises(SinkError) as caught:
        sink.write(numbered_batch(1, 2))
    assert retry_of(caught.value) is Retry.BACKOFF
    registry.is_up = True
    with pytest.raises(RecordError) as caught:
        sink.write(numbered_batch(11, 5))
    assert caught.value.index == 2
    sink.close()
    assert target.delivered() == []
