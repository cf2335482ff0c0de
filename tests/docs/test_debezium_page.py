"""The page of Debezium's properties says what the table of properties says."""

import re
from pathlib import Path

from deltaforge.debezium.importing import PROPERTIES
from deltaforge.debezium.reference import areas, refreshed

PAGE = (Path(__file__).parents[2] / "docs" / "debezium-properties.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_properties():
    assert refreshed(PAGE) == PAGE, "run: make docs"
    assert set(re.findall(r"<!-- properties: (\w+) -->", PAGE)) == areas()
    assert [row.name for row in PROPERTIES if f"| `{row.name}` |" not in PAGE] == []
