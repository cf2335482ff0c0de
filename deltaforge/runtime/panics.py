"""Keeps out of logs and terminals what Rust says of a Python exception that passes through it.

An operator has no other way than raising to keep Bytewax from saving an epoch. Bytewax makes a panic of it, Rust
notes on the standard error that a thread has panicked, without saying why, and Bytewax gives the exception back to
us, who log it. So the standard error is set aside from the exception until it is back. Whatever else was written
meanwhile, such as a panic of Rust's own, which has a text, comes out then.
"""

from __future__ import annotations

import functools
import operator
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, ParamSpec, TypeVar

_NOTE = re.compile(
    rb"thread '[^'\n]*' (?:\(\d+\) )?panicked at [^\n]*:\n"
    rb"Box<dyn Any>\n(?:note: run with `RUST_BACKTRACE[^\n]*\n)?\n?"
)
"""Of a panic whose payload is an object, as Python exceptions are."""
_STDERR = 2

_panics_of = operator.attrgetter("_info.panics")

P = ParamSpec("P")
R = TypeVar("R")


class Panics:
    """The standard error of the process, which may be set aside once.

    Args:
        is_quiet: Set it aside; else it is not ours.

    Attributes:
        cause: The first exception that left our code; Bytewax loses it where there are several workers.
    """

    def __init__(self, *, is_quiet: bool = True) -> None:
        self._is_quiet = is_quiet
        self.cause: BaseException | None = None
        self._kept: IO[bytes] | None = None
        self._stderr = -1

    def expect(self, error: BaseException) -> None:
        """An exception is about to reach Bytewax."""
        self.cause = self.cause or error
        if self._is_quiet and self._kept is None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `over`
            sys.stderr.flush()
            self._stderr = os.dup(_STDERR)
            os.dup2(self._kept.fileno(), _STDERR)

    def over(self) -> None:
        """It is back."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        sys.stderr.flush()
        os.dup2(self._stderr, _STDERR)
        os.close(self._stderr)
        with kept:
            kept.seek(0)
            text = _NOTE.sub(b"", kept.read())
        while text:
            text = text[os.write(_STDERR, text) :]


@contextmanager
def kept_out(panics: Panics | None) -> Iterator[None]:
    """Around a run of Bytewax."""
    try:
        yield
    finally:
        if panics is not None:
            panics.over()


def told(method: Callable[P, R]) -> Callable[P, R]:
    """A method that Bytewax calls: an exception is expected before it gets there. Its object has an ``_info``."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except StopIteration:
            raise
        except BaseException as error:
            panics: Panics | None = _panics_of(args[0])
            if panics is not None:
                panics.expect(error)
            raise

    return wrapped
