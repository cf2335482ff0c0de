"""A process with an exactly-once sink that does as it is told: what ends it does not end the tests.

Told on its standard input, one word a line: ``write`` puts the next batch into a transaction, ``commit`` flushes it, and
writes it again, until that succeeds. Answers are JSON: ``open``, ``written``, and the kinds of the errors before a commit.
"""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import context, deliver, numbered_batch

EVENT_COUNT = 10


class Committer:
    """Such a process, from outside."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid
        self.batch_count = 0

    def say(self, word):
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def answer(self):
        """What it says to a word; it has not ended."""
        line = self._process.stdout.readline()
        assert line, f"it has ended: {self._process.wait(20)}"
        return json.loads(line)

    def write(self):
        self.batch_count += 1
        self.say("write")
        assert self.answer() == "written"


@contextmanager
def committer(config):
    """``config``: of the sink."""
    command = [sys.executable, "-m", "tests.committing", json.dumps(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        one = Committer(process)
        try:
            assert one.answer() == "open"
            yield one
            process.stdin.close()
            assert process.wait(20) == 0
        finally:
            process.kill()


def _say(answer):
    print(json.dumps(answer), flush=True)


def _written(sink, *batches):
    """Open, and have the broker have these batches, uncommitted. Its patience is short, and a broker may be slow."""
    deadline = time.monotonic() + 60
    while True:
        try:
            sink.open()
            for batch in batches:
                sink.write(batch)
            sink.drain()
        except SinkError:
            if time.monotonic() > deadline:
                raise
            sink.suspend()
        else:
            return


def main():
    sink = KafkaSinkSpec.model_validate({"type": "kafka", "config": json.loads(sys.argv[1])}).build(context())
    _written(sink)
    _say("open")
    first = 1
    for word in sys.stdin:
        if word.strip() == "write":
            batch = numbered_batch(first, EVENT_COUNT)
            _written(sink, batch)
            first += EVENT_COUNT
            _say("written")
        else:
            _say(deliver(sink, [batch], written=1))
    sink.close()


if __name__ == "__main__":
    main()
