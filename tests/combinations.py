"""Which databases, sinks and faults meet in a run of the tests: every two of them, or with ``DELTAFORGE_MATRIX=full`` all."""

import itertools
import os

IS_FULL = os.environ.get("DELTAFORGE_MATRIX") == "full"


def combined(*axes, where=lambda *_: True):
    """Combinations of one value of each axis, such that every two values that can meet do so at least once.

    Args:
        axes: The values of each.
        where: Whether a combination makes sense.
    """
    whole = [values for values in itertools.product(*axes) if where(*values)]
    missing = set().union(*map(_pairs, whole))
    chosen = whole if IS_FULL else []
    while missing and not IS_FULL:
        best = max(whole, key=lambda values: len(missing & _pairs(values)))
        missing -= _pairs(best)
        chosen.append(best)
    return sorted(chosen, key=whole.index)


def _pairs(values):
    return set(itertools.combinations(enumerate(values), 2))


SINKS_OF = {
    "kill": ("file", "kafka", "redis", "exactly_once"),
    "stop": ("file", "exactly_once"),
    "down": ("kafka", "redis", "exactly_once"),
    "stall": ("kafka", "redis", "exactly_once"),
}
"""By what is done: to the process, or to the network between it and its sink."""
DONE = combined(
    ("postgres", "mysql", "mariadb"), SINKS_OF["kill"], SINKS_OF, where=lambda _, sink, fault: sink in SINKS_OF[fault]
)


def faults(*wanted, sinks):
    """The (database, sink, fault) that are tried of these faults and sinks."""
    return [values for values in DONE if values[2] in wanted and values[1] in sinks]
