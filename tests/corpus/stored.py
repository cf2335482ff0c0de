"""States that a control plane of an earlier day left: its storage, and what a pipeline saved when half of a recorded log
was read: positions, spool, dead letters, sensing, schemas, drift.

``python -m tests.corpus.stored [NAME…]`` makes them with today's code.
"""

import argparse
import io
import json
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.corpus.expected import PLAIN, expected_of
from tests.corpus.pipeline import KAFKA, REDIS, Broker
from tests.corpus.recording import FOLDER, load, names, pack, unpacked
from tests.corpus.replay import replayed
from tests.integration.e2e.test_rest import ControlPlane
from tests.pipelines import file_events, file_sink, wait_for

PIPELINE = "/pipelines/corpus"
VIEWS = ("/checkpoints", "/sensing/schemas", "/drift", "/schemas", "/journal/dlq", "/skips")
SHARE = 0.6
NOBODY = "redis://127.0.0.1:1"
_OUTPUT = "native.jsonl"
_CHANGING = ("age_seconds", "lag_seconds", "lag_bytes")


def document(recording, port, broker, redis_uri):
    """A file, which the state goes with; a broker that refuses rows; a Redis that is not waited for."""
    dsn = f"{recording.scheme}://root:root@127.0.0.1:{port}/corpus?{PLAIN[recording.scheme]}"
    kafka = {"id": "kafka-of-row", "brokers": broker, **KAFKA["kafka-of-row"]}
    redis = {"id": "redis", "uri": redis_uri, "required": False, "stream": f"redis.{REDIS['redis']['stream']}"}
    sinks = [file_sink(_OUTPUT, id="native"), {"type": "kafka", "config": kafka}, {"type": "redis", "config": redis}]
    return {
        "metadata": {"name": "corpus", "tenant": "acme"},
        "spec": {
            "source": {"type": recording.scheme, "config": {**recording.source["config"], "dsn": dsn}},
            "processors": [],
            "sinks": sinks,
            "schema_sensing": {"enabled": True},
            "journal": {"enabled": True},
        },
    }


@contextmanager
def serving(folder):
    plane = ControlPlane(folder).start()
    try:
        yield plane
    finally:
        plane.stop()


def views(plane):
    """What the control plane shows of the stopped pipeline, without what changes with the time of day."""
    return {path: _lasting(plane.call("GET", PIPELINE + path)) for path in VIEWS}


def _lasting(value):
    if isinstance(value, dict):
        return {key: _lasting(inner) for key, inner in value.items() if key not in _CHANGING}
    return [_lasting(inner) for inner in value] if isinstance(value, list | tuple) else value


def delivered(folder):
    return file_events(folder / _OUTPUT)


def make(name, folder):
    """Read a share of the log, stop, and keep what there is."""
    recording, count = load(name), 0
    with ExitStack() as stack:
        server = stack.enter_context(replayed(recording, share=SHARE))
        broker = stack.enter_context(Broker())
        plane = stack.enter_context(serving(folder))
        body = document(recording, server.port, broker.address, NOBODY)
        status, answer = plane.call("POST", "/pipelines", body)
        assert status == 200, answer

        def is_done():
            nonlocal count
            before, count = count, len(delivered(folder))
            return count and count == before

        wait_for(is_done, interval_secs=2)
        assert not server.unknown, server.unknown
        status, answer = plane.call("POST", f"{PIPELINE}/stop")
        assert status == 200, answer
        wait_for(lambda: plane.call("GET", PIPELINE)[1]["status"] == "stopped")
        told = views(plane)
    assert 10 < count < len(expected_of(name)["native"]) - 10, count
    (folder / "told.json").write_text(json.dumps(told))
    (folder / "serve.log").unlink()
    (folder / "state/pipelines/corpus/pipeline.log").unlink()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, ".", filter=_plain)
    pack(FOLDER / f"{name}.state.zst", packed.getvalue())
    print(f"{name}: {count} events; { ({path: len(view[1]) for path, view in told.items()}) }")


def _plain(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def unpack(name, folder):
    """Put the state there; returns what its control plane said of it."""
    with tarfile.open(fileobj=io.BytesIO(unpacked(FOLDER / f"{name}.state.zst"))) as archive:
        archive.extractall(folder, filter="data")
    return json.loads((folder / "told.json").read_text())


def state_names():
    return sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.state.zst"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all without one")
    for name in parser.parse_args().names or names():
        with tempfile.TemporaryDirectory() as folder:
            make(name, Path(folder))


if __name__ == "__main__":
    main()
