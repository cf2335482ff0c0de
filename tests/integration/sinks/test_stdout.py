"""The stdout sink under the contract of all sinks."""

import pytest

from deltaforge.sinks.stdout import StdoutSinkSpec
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
