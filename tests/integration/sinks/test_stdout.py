"""The stdout sink under the contract of all sinks."""

import os
import threading

import msgspec
import pytest

from deltaforge.sinks.stdout import StdoutSinkSpec
from deltaforge.testing.fakes import make_batch
from deltaforge.testing.sink_contract import Delivered, SinkContract, context


class StdoutTarget:
    def __init__(self, path):
        self._path = path

    def sink(self, **settings):
        return StdoutSinkSpec.model_validate({"type": "stdout", "config": {"id": "s", **settings}}).build(context())

    def delivered(self):
        return [Delivered(line) for line in self._path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def target(tmp_path, monkeypatch):
    """The sink's descriptor leads to a file; tests/unit has the real one."""
    path = tmp_path / "out"
    with path.open("wb") as out:
        monkeypatch.setattr("deltaforge.sinks.stdout.STDOUT", out.fileno())
        yield StdoutTarget(path)


class TestStdoutSink(SinkContract):
    """The contract."""


def test_lines_of_two_sinks_are_not_mixed_in_a_pipe(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr("deltaforge.sinks.stdout.STDOUT", writing)

    def write(first):
        sink = StdoutSinkSpec.model_validate({"type": "stdout", "config": {"id": f"s{first}"}}).build(context())
        sink.write(make_batch(first, event_count=3000))  # a pipe takes a part of them at a time

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 10_000)]
    for writer in writers:
        writer.start()
    found = b""
    while found.count(b"\n") < 6000:
        found += os.read(reading, 5000)
    for writer in writers:
        writer.join()
    os.close(reading)
    os.close(writing)
    numbers = [msgspec.json.decode(line)["after"]["id"] for line in found.splitlines()]
    assert sorted(numbers) == [*range(3000), *range(10_000, 13_000)]
