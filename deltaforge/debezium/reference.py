"""The tables of ``docs/debezium-properties.md``, made from the table of properties.

``python -m deltaforge.debezium.reference docs/debezium-properties.md`` puts them in.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deltaforge.debezium import connect_properties, message_properties, server_properties, snapshot_properties
from deltaforge.debezium.draft import EVERY_KIND, Kind
from deltaforge.debezium.properties import MYSQL, Property

_AREAS: dict[str, tuple[Property, ...]] = {
    "messages": message_properties.PROPERTIES,
    "snapshots": snapshot_properties.PROPERTIES,
    "server": server_properties.PROPERTIES,
    "connect": connect_properties.PROPERTIES,
}
_TABLE = re.compile(r"<!-- properties: (?P<area>\w+) -->\n.*?<!-- end -->", re.DOTALL)
_KINDS: dict[frozenset[Kind], str] = {EVERY_KIND: "", MYSQL: "MySQL, MariaDB"}


def refreshed(text: str) -> str:
    """The page with the tables as the properties are now.

    Raises:
        KeyError: The page names an area that there is not.
    """
    return _TABLE.sub(lambda found: f"<!-- properties: {found['area']} -->\n{_table(found['area'])}<!-- end -->", text)


def areas() -> set[str]:
    """The tables that a page has to have."""
    return set(_AREAS)


def _table(area: str) -> str:
    rows = [f"| `{row.name}` | {_KINDS.get(row.kinds, 'PostgreSQL')} | {row.ours} |" for row in _AREAS[area]]
    return "\n".join(["| Property | Only of | Here |", "|---|---|---|", *rows, ""])


def main() -> None:
    """Refresh the pages that are named."""
    for path in map(Path, sys.argv[1:]):
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
