"""The file sink under the contract of all sinks."""

import pytest

from deltaforge.sinks.file import FileSinkSpec
from deltaforge.testing.sink_contract import Delivered, SinkContract, context


class FileTarget:
    def __init__(self, path):
        self._path = path

    def sink(self, **settings):
        spec = {"type": "file", "config": {"id": "s", "path": str(self._path), **settings}}
        return FileSinkSpec.model_validate(spec).build(context())

    def delivered(self):
        return [Delivered(line) for line in self._path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def target(tmp_path):
    return FileTarget(tmp_path / "events.jsonl")


class TestFileSink(SinkContract):
    """The contract."""
