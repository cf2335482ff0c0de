"""The clock of a server against ours."""

from __future__ import annotations

from collections.abc import Callable

from deltaforge.doctor.finding import Notes

TOLERANCE_SECS = 5.0


def note_clock(notes: Notes, check: str, clock: Callable[[], float], ask: Callable[[], float]) -> None:
    """Compare what a server says with the middle of the time that the question took.

    Args:
        notes: Where it is noted.
        check: Its name.
        clock: Ours, seconds since 1970.
        ask: The server's.
    """
    before = clock()
    theirs = ask()
    after = clock()
    ahead, slack = theirs - (before + after) / 2, (after - before) / 2
    if abs(ahead) > TOLERANCE_SECS + slack:
        notes.warn(check, f"the server's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours")
    else:
        notes.ok(check, "the server's clock is ours")
