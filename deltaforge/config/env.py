"""``${VAR}``, ``${VAR:-default}`` and ``${file:name}`` in a document. Contract 02 section 10."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

REFERENCE = re.compile(
    r"\$\{(?:file:(?P<file>[^}\n]*+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)(?::-(?P<default>[^}\n]*+))?)\}"
)
"""To be looked for before the last closing brace of a line only: else a line of beginnings is read again for each."""

EVENT_FIELDS = frozenset({"op", "ts_ms", "event_id", "tenant_id", "schema_version", "trace_id", "synthetic"})
"""Names that routing templates write without a dot, so that an unset variable of that name is no mistake."""


def expand(text: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replace references to environment variables, once; values are not expanded again.

    A name with a dot, such as ``${source.table}``, cannot be a variable: it is a routing template and
    stays. An unset name without a default stays too, and so does ``${file:name}``, which is for single values.
    Lines that are only a comment are left alone.

    Args:
        text: A whole document, or one value of it.
        env: Variables by name.

    Returns:
        The text, and the unset names in order, each once.
    """
    unknown: dict[str, None] = {}

    def value_of(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            return match[0]
        if default is not None:
            return env.get(name) or default
        if name in env:
            return env[name]
        if name not in EVENT_FIELDS:
            unknown[name] = None
        return match[0]

    lines = text.splitlines(keepends=True)
    return "".join(line if line.lstrip().startswith("#") else replaced(line, value_of) for line in lines), [*unknown]


def replaced(text: str, value_of: Callable[[re.Match[str]], str]) -> str:
    """The text with each reference replaced by its value, in one pass."""
    parts: list[str] = []
    for line in text.split("\n"):
        end = line.rfind("}") + 1
        parts.append(REFERENCE.sub(value_of, line[:end]) + line[end:])
    return "\n".join(parts)


def references(text: str) -> Iterator[re.Match[str]]:
    """Every reference in a text."""
    for line in text.split("\n"):
        yield from REFERENCE.finditer(line, 0, line.rfind("}") + 1)
