"""A ``stdout`` sink: a descriptor that is open."""

from __future__ import annotations

import os

from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.sinks.stdout import STDOUT, StdoutSinkConfig

CHECKS = {"stdout.open": Check("standard output is open", "start the pipeline without `>&-`")}


def where(_config: StdoutSinkConfig) -> str:
    """There is no address."""
    return "standard output"


def examine(_subject: Subject, _config: StdoutSinkConfig, notes: Notes) -> None:
    """Look at the descriptor."""
    try:
        os.fstat(STDOUT)
    except OSError:
        notes.error("stdout.open", "standard output is closed")
    else:
        notes.ok("stdout.open", "standard output is open")
