"""What the sinks of the corpus wrote, and what is expected of them.

Of an event the ``native`` line is kept whole, so that a difference can be read; of its other forms a hash of the value
beside topic, partition, key and headers.
"""

import hashlib
import os
import tempfile
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec

from deltaforge import __version__
from tests.corpus.pipeline import FILES, Broker, document_sinks
from tests.corpus.recording import FOLDER, load, pack, unpacked
from tests.corpus.replay import replayed
from tests.pipelines import PipelineProcess, wait_for

PLAIN = {"mysql": "ssl-mode=disabled", "postgres": "sslmode=disable"}
_LONG = 200
_VERSION = f"deltaforge-{__version__}".encode()


def expected_of(name):
    """By sink the texts of its events, in order."""
    return msgspec.json.decode(unpacked(_path(name)), type=dict[str, list[str]])


def written(name, folder, redis, *, is_pure=False, expected=None):
    """The same of a run with today's code. ``expected`` says how many events there are; None waits until no more come."""
    recording = load(name)
    prefix = f"corpus-{uuid.uuid4().hex[:8]}-"
    with replayed(recording) as server, Broker() as broker, redis.connect() as client:
        dsn = f"{recording.scheme}://root:root@127.0.0.1:{server.port}/corpus?{PLAIN[recording.scheme]}"
        source = {**recording.source, "config": {**recording.source["config"], "dsn": dsn}}
        sinks = document_sinks(folder, broker, redis, prefix)
        pipeline = PipelineProcess(
            folder, {"type": recording.scheme, **source}, sinks, name="corpus", journal={"enabled": True}
        )
        with closing(_Ended(pipeline)):
            pipeline.start(environment={"DELTAFORGE_PURE": "1" if is_pure else ""})
            _wait(pipeline, folder, expected, server)
            assert pipeline.stop() == 0, pipeline.log()
        found = {name: lines_of_file(folder / f"{name}.jsonl", is_whole=name == "native") for name in FILES}
        found |= _of_kafka(broker.messages())
        return found | lines_of_streams(client, prefix)


class _Ended:
    def __init__(self, pipeline):
        self.close = pipeline.end


def _wait(pipeline, folder, expected, server):
    files = [folder / f"{name}.jsonl" for name in FILES]
    counts = Counter()

    def is_done():
        pipeline.assert_runs()
        assert not server.unknown, f"the source asks what it did not ask before: docs/testing.md\n{server.unknown}"
        now = [_unversioned(path.read_bytes()).count(b"\n") if path.exists() else 0 for path in files]
        if expected is not None:
            return now == [len(expected["native"])] * len(files)
        counts[tuple(now)] += 1
        return all(now) and counts[tuple(now)] > 30

    wait_for(is_done, 60)


def _unversioned(data):
    return data.replace(_VERSION, b"deltaforge-VERSION")


def lines_of_file(path, *, is_whole):
    lines = _unversioned(path.read_bytes()).split(b"\n")
    assert lines.pop() == b""
    return [line.decode() if is_whole else _hash(line) for line in lines]


def _hash(value):
    return hashlib.blake2b(_unversioned(value), digest_size=8).hexdigest()


def _short(text):
    """A key that can be read, unless it is long."""
    if text is None or len(text) <= _LONG:
        return repr(text)
    return f"{text[:_LONG]!r}…{_hash(text)}"


def _of_kafka(messages):
    found = {}
    for topic, partition, key, headers, value in messages:
        sink, _, name = topic.partition(".")
        found.setdefault(sink, []).append(f"{name}[{partition}] {_short(key)} {headers or ''} {_hash(value)}")
    return found


def lines_of_streams(client, prefix=""):
    """By sink, of the streams whose names begin with prefix and sink; they are gone afterwards."""
    found = {}
    for stream in sorted(client.scan_iter(f"{prefix}*")):
        sink, _, name = stream.decode().removeprefix(prefix).partition(".")
        for _, fields in client.xrange(stream):
            told = {k.decode(): _hash(v) if k == b"df-event" else _short(v) for k, v in fields.items()}
            found.setdefault(sink, []).append(f"{name} {told}")
        client.delete(stream)
    return found


def differences(found, expected):
    """What differs, in lines for people; [] if nothing does."""
    told = [
        f"sink {name} is {how}"
        for how, names in (("new", found.keys() - expected.keys()), ("gone", expected.keys() - found.keys()))
        for name in names
    ]
    for name in found.keys() & expected.keys():
        if len(found[name]) != len(expected[name]):
            told.append(f"{name}: {len(found[name])} events, expected {len(expected[name])}")
        wrong = [n for n, pair in enumerate(zip(found[name], expected[name], strict=False)) if pair[0] != pair[1]]
        if wrong:
            told.append(f"{name}: {len(wrong)} events differ, the first is number {wrong[0]}")
            told.append(f"  found    {_around(found[name][wrong[0]], expected[name][wrong[0]])}")
            told.append(f"  expected {_around(expected[name][wrong[0]], found[name][wrong[0]])}")
            if name in FILES and wrong[0] < len(expected["native"]):
                told.append(f"  of       {expected['native'][wrong[0]][:600]}")
    return told


def _around(text, other):
    """The part of a text in which it differs from the other."""
    at = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    return f"…{text[max(0, at - 120) : at + 120]}…" if len(text) > 300 else text


def write(name, *, compares):
    """Make what today's code writes what is expected; if asked to, say what is other than before."""
    from tests.corpus.record import redis_server

    before = expected_of(name) if compares else None
    with tempfile.TemporaryDirectory() as folder, redis_server() as redis:
        found = written(name, Path(folder), redis, is_pure=bool(os.environ.get("DELTAFORGE_PURE")))
    print(f"{name}: {len(found['native'])} events; {dict(Counter({sink: len(each) for sink, each in found.items()}))}")
    print(*(differences(found, before) if before else ()), sep="\n")
    pack(_path(name), msgspec.json.encode(found))


def _path(name):
    return FOLDER / f"{name}.expected.zst"
