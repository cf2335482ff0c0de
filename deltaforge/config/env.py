"""``${VAR}`` and ``${VAR:-default}`` in the text of a document. Contract 02 section 10."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}\n]*))?\}")

EVENT_FIELDS = frozenset({"op", "ts_ms", "event_id", "tenant_id", "schema_version", "trace_id", "synthetic"})
"""Names that routing templates write without a dot, so that an unset variable of that name is no mistake."""


def expand(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replace references to environment variables, once; values are not expanded again.

    A name with a dot, such as ``${source.table}``, cannot be a variable: it is a routing template and
    stays. An unset name without a default stays too. Lines that are only a comment are left alone.

    Args:
        text: A whole document, or one value of it.
        env: Variables by name.

    Returns:
        The text, and the unset names in order, each once.
    """
    unknown: list[str] = []

    def value_of(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if default is not None:
            return env.get(name) or default
        if name in env:
            return env[name]
        if name not in EVENT_FIELDS and name not in unknown:
            unknown.append(name)
        return match[0]

    lines = text.splitlines(keepends=True)
    return "".join(line if line.lstrip().startswith("#") else _REFERENCE.sub(value_of, line) for line in lines), unknown
