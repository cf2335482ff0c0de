"""What a document names of the machine that runs it: files, sockets, commands, identities.

Settings models say what theirs are (:meth:`deltaforge.config.model.StrictModel.local_uses`); whether a document may
name them is decided by where it comes from (:mod:`deltaforge.spec.remote`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class LocalUse(NamedTuple):
    """One thing of this machine that settings name.

    Attributes:
        steps: Keys that lead to it from the settings that name it.
        value: What is named; the path of a file.
        kind: ``read``: a file that is read. ``write``: a file that is written. ``other``: anything else, which only
            an operator may name.
        instead: What can be written without naming it.
        name: Which part of the setting it is, if the setting has parts, such as a parameter of a DSN.
    """

    steps: tuple[str, ...]
    value: str
    kind: Literal["read", "write", "other"] = "read"
    instead: str = ""
    name: str = ""
