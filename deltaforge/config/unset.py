"""Environment variables that a document names and nobody has set: named again where it hurts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deltaforge.config.env import expand
from deltaforge.core.errors import DeltaForgeError


def unset_in(*texts: str) -> list[str]:
    """The variables that values of a document still refer to after it was expanded, each once."""
    return list(dict.fromkeys(name for text in texts for name in expand(text, {})[1]))


def unset_hint(*texts: str) -> str:
    """What to say of the variables that these values still refer to; empty if there are none."""
    names = unset_in(*texts)
    if not names:
        return ""
    return f"environment variable{'s' * (len(names) > 1)} {', '.join(names)} {'are' if names[1:] else 'is'} not set"


@contextmanager
def naming_unset(*texts: str) -> Iterator[None]:
    """Around the use of values of a document: an error names the variables in them that are not set."""
    try:
        yield
    except DeltaForgeError as error:
        hint = unset_hint(*texts)
        if hint and hint not in error.hint:
            error.hint = "; ".join(filter(None, (hint, error.hint)))
        raise
