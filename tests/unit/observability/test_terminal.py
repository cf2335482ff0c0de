import io
import logging
import threading

import pytest

from deltaforge.observability.logging import configure, written_to
from deltaforge.observability.terminal import StatusBelow
from tests.screen import Screen


@pytest.fixture(autouse=True)
def _size(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")


def shown(stream):
    screen = Screen(40)
    screen.feed(stream.getvalue())
    return screen.rows


def test_lines_stand_above_the_status():
    stream = io.StringIO()
    below = StatusBelow(stream)
    below.show("one event")
    below.write("a line\n")
    below.show("2 events")
    below.write("another\n")
    assert shown(stream) == ["a line", "another", "2 events"]
    below.show("")
    below.write("the end\n")
    assert shown(stream) == ["a line", "another", "the end", ""]


def test_a_line_in_pieces_is_not_torn():
    stream = io.StringIO()
    below = StatusBelow(stream)
    below.show("status")
    below.write("half ")
    below.show("newer")
    below.write("a line\n")
    assert shown(stream) == ["half a line", "newer"]


def test_a_long_status_is_wrapped_and_not_cut():
    stream = io.StringIO()
    below = StatusBelow(stream)
    text = "error: " + "x" * 100 + " end"
    below.show(text)
    below.show(text)
    assert "".join(shown(stream)) == text
    below.write("a line\n")
    below.show("short")
    assert shown(stream) == ["a line", "short"]


def test_a_status_higher_than_the_screen_and_control_characters_leave_the_rest_as_it_is():
    stream = io.StringIO()
    below = StatusBelow(stream)
    below.show("y" * 2000)
    below.write("a line\n")
    below.show("a\x1b[2Jb\nc 漢字")
    assert shown(stream) == ["a line", "a [2Jb c 漢字"]


def test_log_lines_of_many_threads_are_whole():
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    below = StatusBelow(stream)
    try:
        configure({}, stream=io.StringIO())
        with written_to(below):
            threads = [
                threading.Thread(target=lambda n=n: [logging.getLogger("t").info("%d-%d", n, i) for i in range(50)])
                for n in range(4)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                below.show("status " * 20)
            below.show("")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    rows = Screen(200)
    rows.feed(stream.getvalue())
    assert sorted(row.rpartition("t: ")[2] for row in rows.rows[:-1]) == sorted(
        f"{n}-{i}" for n in range(4) for i in range(50)
    )
