"""The stdout sink on a real file descriptor 1."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.sinks.stdout import StdoutSinkSpec
from deltaforge.testing.sink_contract import context
from tests.processes import child

SCRIPT = """
from deltaforge.core.errors import SinkError
from deltaforge.sinks.stdout import StdoutSinkSpec
from deltaforge.testing.sink_contract import context, numbered_batch
import os, sys
if "nonblocking" in sys.argv:
    os.set_blocking(1, False)
sink = StdoutSinkSpec.model_validate({"type": "stdout", "config": {"id": "s"}}).build(context())
sink.open()
if "tells" in sys.argv:
    os.write(2, b".")
try:
    for first in range(1, 2001, 500):
        sink.write(numbered_batch(first, 500))
        sink.flush()
except SinkError as error:
    print(error.kind, error.message, file=sys.stderr)
sink.close()
os._exit(0)
"""


def run(*arguments, read):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        return read(process)


def test_every_line_reaches_a_slow_reader_of_a_pipe():
    for arguments in ([], ["nonblocking"]):
        lines = run(*arguments, read=lambda process: process.communicate(timeout=60)[0].splitlines())
        assert [b'"id":%d}' % number in line for number, line in enumerate(lines, 1)] == [True] * 2000


def test_lines_of_several_processes_are_not_mixed():
    """A pipe takes a batch in pieces, so that another process comes to its turn in the middle of a line."""
    (reader, writer), (ready, beginning) = os.pipe(), os.pipe()
    command = [sys.executable, "-c", SCRIPT, "tells"]
    processes = [child(command, stdout=writer, stderr=beginning) for _ in range(2)]
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe, os.fdopen(ready, "rb") as begun:
        assert begun.read(len(processes)) == b".."
        lines = pipe.read().splitlines()
    os.close(beginning)
    assert [process.wait(60) for process in processes] == [0, 0]
    assert Counter(json.loads(line)["after"]["id"] for line in lines) == dict.fromkeys(range(1, 2001), 2)


def test_a_reader_that_went_away_is_fatal():
    def hang_up(process):
        process.stdout.close()
        return process.stderr.read()

    assert run(read=hang_up) == b"fatal cannot write to standard output: its reader is gone\n"


def test_a_closed_standard_output_is_noticed_when_the_sink_opens(monkeypatch):
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    monkeypatch.setattr("deltaforge.sinks.stdout.STDOUT", writer)
    with pytest.raises(SinkError, match="cannot write to standard output: Bad file descriptor") as caught:
        StdoutSinkSpec.model_validate({"type": "stdout", "config": {"id": "s"}}).build(context()).open()
    assert caught.value.kind == "fatal"
