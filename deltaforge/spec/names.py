"""Which names new pipelines and sinks may have.

They become parts of routes, files, folders, metric labels and transactional ids, and stand in command lines and logs.
Versions before allowed more, and what was made with such a name goes on: the rule is for what is new.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from deltaforge.core.errors import SpecError
from deltaforge.spec.model import PipelineSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
RULE = "1 to 128 of the characters A-Z a-z 0-9 . _ -, and a letter or digit first"


def check_new_names(document: PipelineSpec, *, is_known: bool = False, known_sinks: Collection[str] = ()) -> None:
    """Refuse a name that a new pipeline, or the id that a new sink, may not have.

    Args:
        document: With the names.
        is_known: The pipeline exists already under its name.
        known_sinks: Ids of the sinks that it has already.

    Raises:
        SpecError: Says where, and what is allowed.
    """
    if not is_known:
        _check(document.metadata.name, "metadata.name")
    for number, sink in enumerate(document.spec.sinks):
        if sink.config.id not in known_sinks:
            _check(sink.config.id, f"spec.sinks[{number}].config.id")


def _check(name: str, path: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise SpecError("is not a name that can be used in routes, files and ids", path=path, hint=f"allowed: {RULE}")
