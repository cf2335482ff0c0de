"""The file sink's own rules: what is on disk after faults and crashes."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.file import FileSinkSpec
from deltaforge.testing.sink_contract import context, numbered_batch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def make_sink(path, sink_id="s", **about):
    spec = FileSinkSpec.model_validate({"type": "file", "config": {"id": sink_id, "path": str(path)}})
    return spec.build(replace(context(), **about))


def marker_of(path):
    return path.with_name(f".{path.name}.deltaforge")


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
    sink.open()
    sink.close()
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
    marked = [str(marker_of(path)) + ".partial", str(path.parent)]
    assert synchronized == marked
    sink.write(numbered_batch(1))
    sink.flush()
    sink.flush()
    assert synchronized == [*marked, str(path)]


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


FOREIGN = b'{"whose":"not ours"}\n{"torn'


def test_a_file_that_the_sink_did_not_make_is_left_as_it_is(path, sink):
    path.write_bytes(FOREIGN)
    with pytest.raises(SinkError, match="did not write") as caught:
        sink.open()
    assert path.read_bytes() == FOREIGN
    assert str(marker_of(path)) in caught.value.hint
    assert retry_of(caught.value) is Retry.OPERATOR
    assert not marker_of(path).exists()


def test_an_empty_marker_gives_a_file_to_the_sink(path, sink):
    path.write_bytes(FOREIGN)
    marker_of(path).touch()
    sink.open()
    assert path.read_bytes() == FOREIGN[: FOREIGN.index(b"\n") + 1]
    sink.close()
    with pytest.raises(SinkError, match="belongs to sink s of pipeline p"):
        make_sink(path, "other").open()


@pytest.mark.parametrize("about", [{"pipeline": "q"}, {"sink_id": "other"}])
def test_a_file_of_another_sink_is_refused_until_it_is_empty(path, sink, about):
    sink.open()
    write_and_flush(sink, numbered_batch(1))
    sink.close()
    other = make_sink(path, **about)
    with pytest.raises(SinkError, match="belongs to sink s of pipeline p"):
        other.open()
    assert line_count(path) == 1
    path.unlink()
    other.open()
    write_and_flush(other, numbered_batch(1, 2))
    other.close()
    with pytest.raises(SinkError, match="belongs"):
        sink.open()


def test_a_file_that_was_renamed_away_is_followed_by_a_new_one(path, sink):
    sink.open()
    write_and_flush(sink, numbered_batch(1))
    sink.close()
    path.rename(path.with_suffix(".1"))
    sink.open()
    write_and_flush(sink, numbered_batch(2, 2))
    assert (line_count(path.with_suffix(".1")), line_count(path)) == (1, 2)


def test_a_file_of_an_earlier_version_is_taken_once_the_position_says_so(path):
    path.write_bytes(b"{}\n{")
    sink = make_sink(path, adopts=True)
    sink.open()
    sink.close()
    assert path.read_bytes() == b"{}\n"
    again = make_sink(path)
    again.open()
    again.close()


def test_a_marker_that_cannot_be_read_is_nobodys(path, sink):
    path.write_bytes(FOREIGN)
    marker_of(path).write_bytes(b"{")
    with pytest.raises(SinkError, match="cannot be read"):
        sink.open()
    assert path.read_bytes() == FOREIGN


def test_a_marker_is_no_file_for_a_sink(path):
    config = FileSinkSpec.model_validate({"type": "file", "config": {"id": "s", "path": str(marker_of(path))}}).config
    assert [steps for steps, _ in config.refused()] == [("path",)]


@pytest.fixture
def folders(tmp_path):
    for name in ("out/sub", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "elsewhere" / "x.jsonl").write_bytes(FOREIGN)
    (tmp_path / "out" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "file.jsonl").symlink_to(tmp_path / "elsewhere" / "x.jsonl")
    (tmp_path / "out" / "dangling.jsonl").symlink_to(tmp_path / "elsewhere" / "new.jsonl")
    return tmp_path


@pytest.mark.parametrize(
    "given",
    ["../elsewhere/x.jsonl", "{}/elsewhere/x.jsonl", "folder/x.jsonl", "folder/n.jsonl", "file.jsonl",
     "dangling.jsonl", "sub/../../elsewhere/x.jsonl", "{}/out/../elsewhere/x.jsonl"],
)  # fmt: skip
def test_no_way_leads_out_of_the_folder(folders, given):
    sink = make_sink(given.format(folders), output_dir=folders / "out")
    with pytest.raises(SinkError, match="cannot open"):
        sink.open()
    assert sorted(path.name for path in (folders / "elsewhere").iterdir()) == ["x.jsonl"]
    assert (folders / "elsewhere" / "x.jsonl").read_bytes() == FOREIGN


@pytest.mark.parametrize("given", ["a.jsonl", "sub/a.jsonl", "{}/out/a.jsonl"])
def test_paths_are_relative_to_the_folder(folders, given):
    sink = make_sink(given.format(folders), output_dir=folders / "out")
    sink.open()
    write_and_flush(sink, numbered_batch(1))
    sink.close()
    assert line_count(folders / "out" / given.removeprefix("{}/out/")) == 1


def test_the_folder_is_made_for_its_owner_alone(folders):
    sink = make_sink("a.jsonl", output_dir=folders / "new" / "out")
    sink.open()
    sink.close()
    assert (folders / "new" / "out").stat().st_mode & 0o777 == 0o700


def test_nothing_stays_open_after_a_refusal(path):
    path.write_bytes(FOREIGN)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(SinkError):
            make_sink(path).open()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
