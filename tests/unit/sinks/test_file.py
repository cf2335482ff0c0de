"""The file sink's own rules: what is on disk after faults and crashes."""

import errno
import os
from pathlib import Path

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.file import FileSinkSpec
from deltaforge.testing.sink_contract import context, numbered_batch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def make_sink(path):
    return FileSinkSpec.model_validate({"type": "file", "config": {"id": "s", "path": str(path)}}).build(context())


@pytest.fixture
def sink(path):
    sink = make_sink(path)
    yield sink
    sink.close()


def line_count(path):
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return data.count(b"\n")


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", b""),
        (b'{"a":1}\n', b'{"a":1}\n'),
        (b'{"a":1}\n{"b"', b'{"a":1}\n'),
        (b'{"b"', b""),
        (b"x" * 200_000, b""),
        (b"{}\n" + b"x" * 200_000, b"{}\n"),
        (b"y" * 65_535 + b"\n" + b"x" * 65_536, b"y" * 65_535 + b"\n"),
    ],
)
def test_a_torn_last_line_is_cut_off_when_opened(path, sink, left, kept):
    path.write_bytes(left)
    sink.open()
    assert path.read_bytes() == kept
    sink.write(numbered_batch(1))
    sink.flush()
    assert path.read_bytes().startswith(kept + b'{"before"')


def test_closing_takes_back_what_was_not_flushed(path, sink):
    sink.open()
    sink.write(numbered_batch(1, 3))
    sink.flush()
    sink.write(numbered_batch(4, 3))
    sink.close()
    assert line_count(path) == 3


def test_the_file_is_synchronized_before_flush_returns_and_its_directory_when_it_is_new(path, sink, monkeypatch):
    synchronized = []
    monkeypatch.setattr("os.fsync", lambda fd: synchronized.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    sink.open()
    assert synchronized == [str(path.parent)]
    sink.write(numbered_batch(1))
    sink.flush()
    sink.flush()
    assert synchronized == [str(path.parent), str(path)]


def fail_with(code, real, after=0):
    calls = []

    def fault(fd, *args):
        calls.append(fd)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return real(fd, *(part[:100] for part in args))

    return fault


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_a_full_disk_leaves_the_file_as_it_was_flushed_and_can_be_retried(path, sink, monkeypatch, name):
    sink.open()
    sink.write(numbered_batch(1))
    sink.flush()
    flushed = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(f"os.{name}", fail_with(errno.ENOSPC, getattr(os, name), after=int(name == "write")))
        with pytest.raises(SinkError) as caught:
            write_and_flush(sink, numbered_batch(2, 5))
    assert (caught.value.kind, path.read_bytes()) == ("io", flushed)
    write_and_flush(sink, numbered_batch(2, 5))
    assert line_count(path) == 6


def write_and_flush(sink, batch):
    sink.write(batch)
    sink.flush()


def test_two_sinks_cannot_write_one_file(path, sink):
    sink.open()
    other = make_sink(path)
    with pytest.raises(SinkError, match="another sink") as caught:
        other.open()
    assert retry_of(caught.value) is Retry.BACKOFF
    sink.close()
    other.open()
    other.close()


@pytest.mark.parametrize("kind", ["missing directory", "directory", "pipe"])
def test_a_path_that_cannot_be_a_file_needs_a_person(path, kind):
    if kind == "missing directory":
        path = path.parent / "nowhere" / "events.jsonl"
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(SinkError, match="cannot open") as caught:
        make_sink(path).open()
    assert retry_of(caught.value) is Retry.OPERATOR


def test_a_file_emptied_by_somebody_else_gets_no_hole(path, sink):
    sink.open()
    sink.write(numbered_batch(1, 10))
    sink.flush()
    os.truncate(path, 0)
    sink.write(numbered_batch(11))
    sink.close()
    sink.open()
    write_and_flush(sink, numbered_batch(11))
    assert b"\0" not in path.read_bytes()
    assert b'"id":11}' in path.read_bytes()
