"""The type pages name exactly what the decoder tables know."""

import re
from pathlib import Path

import pytest

from deltaforge.protocol.mysql.types import Code
from deltaforge.protocol.mysql.values import _FAMILIES
from deltaforge.protocol.postgres.values import DECODERS
from deltaforge.records.types.reference import refreshed

DOCS = Path(__file__).parents[2] / "docs" / "types"


def first_cells(page):
    first = (DOCS / page).read_text().partition("<!-- records")[0]
    rows = [line for line in first.splitlines() if line.startswith("|")][2:]
    return [row.split("|")[1] for row in rows]


def test_every_decodable_mysql_code_is_on_its_page():
    named = {word for cell in first_cells("mysql.md") for word in cell.split()}
    decodable = {code.name for codes, _ in _FAMILIES for code in codes}
    assert named == decodable
    refused = {code.name for code in Code} - decodable
    assert refused == {"DECIMAL", "NULL"}


def test_every_postgres_type_of_the_table_is_on_its_page():
    named = {name for cell in first_cells("postgres.md") for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(DECODERS)


@pytest.mark.parametrize("page", ["mysql.md", "postgres.md"])
def test_the_fields_of_records_are_those_of_the_table_of_types(page):
    text = (DOCS / page).read_text()
    assert refreshed(text) == text, "run: make docs"
    assert "io.debezium." in text
