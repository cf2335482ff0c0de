"""Lines of all processes of a pipeline, for one reader."""

import socket
import threading
from types import SimpleNamespace

import pytest

from deltaforge.runtime import cluster_tail
from deltaforge.runtime.cluster_tail import ClusterListener
from deltaforge.runtime.tap import TailRequest


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(cluster_tail, "TICK_SECS", 0.01)


def own_until(ended):
    """The listener of this process: it has nothing to show."""

    def lines():
        while not ended.wait(0.01):
            yield b""

    return SimpleNamespace(lines=lines, close=ended.set)


def test_a_process_that_is_there_a_moment_later_is_heard(tmp_path):
    path, ended = tmp_path / "s", threading.Event()
    listener = ClusterListener(own_until(ended), TailRequest(), [path])
    lines = listener.lines()
    assert next(lines) == b""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        asked, _ = server.accept()
        with asked:
            assert b'"alone":true' in asked.recv(4096)
            asked.sendall(b'{"ok":true}\n{"op":"c"}\n')
            assert next(filter(None, lines)) == b'{"op":"c"}\n'
    ended.set()
    assert [line for line in lines if line] == [b'{"tail":{"ended":"pipeline","shown":1,"left_out":0}}\n']


def test_a_process_that_never_comes_is_not_waited_for_longer_than_the_pipeline_lasts(tmp_path):
    ended = threading.Event()
    listener = ClusterListener(own_until(ended), TailRequest(), [tmp_path / "s"])
    ended.set()
    assert [line for line in listener.lines() if line] == [b'{"tail":{"ended":"pipeline","shown":0,"left_out":0}}\n']
