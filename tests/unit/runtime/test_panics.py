"""What Rust says of a Python exception stays out, and nothing else does."""

import logging
import os
from types import SimpleNamespace

import pytest

from deltaforge.runtime.panics import Panics, kept_out, told

OF_AN_EXCEPTION = (
    b"thread '<unnamed>' panicked at src/outputs.rs:364:37:\nBox<dyn Any>\n"
    b"note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n"
)
ANOTHER_THREAD = b"thread 'worker 1' (4711) panicked at src/run.rs:1:2:\nBox<dyn Any>\n"
OF_RUST = b"thread '<unnamed>' panicked at src/recovery.rs:1:1:\nthe disk is full\n"


def test_only_panics_of_exceptions_are_left_out(capfd):
    panics = Panics()
    with kept_out(panics):
        os.write(2, b"before\n")
        panics.expect(ValueError())
        panics.expect(ValueError())
        os.write(2, OF_AN_EXCEPTION + b"meanwhile\n" + OF_RUST + ANOTHER_THREAD)
    os.write(2, b"after\n")
    assert capfd.readouterr().err.encode() == b"before\nmeanwhile\n" + OF_RUST + b"after\n"


def test_a_run_without_an_exception_writes_as_ever(capfd):
    with kept_out(Panics()):
        os.write(2, OF_AN_EXCEPTION)
    assert capfd.readouterr().err.encode() == OF_AN_EXCEPTION


class Operator:
    def __init__(self):
        self._info = SimpleNamespace(panics=self)
        self.count = 0

    def expect(self, error):
        assert isinstance(error, BaseException)
        self.count += 1

    @told
    def run(self, error):
        if error is not None:
            raise error
        return logging.INFO


@pytest.mark.parametrize(
    ("error", "count"), [(None, 0), (StopIteration(), 0), (ValueError(), 1), (KeyboardInterrupt(), 1)]
)
def test_an_exception_is_told_before_it_leaves_unless_it_is_the_end(error, count):
    operator = Operator()
    if error is None:
        assert operator.run(None) == logging.INFO
    else:
        with pytest.raises(type(error)):
            operator.run(error)
    assert operator.count == count
