"""What happens in a database while both sides read it: SQL, in order, on one connection."""

from typing import NamedTuple

FINISH = "finish"
"""The table that is written to whenever the changes wait, and last of all."""

WAIT = "wait"
"""Among the changes: go on when both sides have delivered what was before. Debezium asks the catalog of PostgreSQL for
the key of a table when it meets it, which would else be the key that a later statement gives it."""


class History(NamedTuple):
    """``setup`` is there before either side starts and comes as snapshot rows; ``changes`` come from the log."""

    setup: list[str]
    changes: list[str]
