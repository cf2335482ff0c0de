"""What happens in a database while both sides read it: SQL, in order, on one connection."""

from typing import NamedTuple

FINISH = "finish"
"""The table whose only row is the last change of every history."""


class History(NamedTuple):
    """``setup`` is there before either side starts and comes as snapshot rows; ``changes`` come from the log."""

    setup: list[str]
    changes: list[str]
