"""The type pages name exactly what the decoder tables know."""

import re
from pathlib import Path

from deltaforge.protocol.mysql.types import Code
from deltaforge.protocol.mysql.values import _FAMILIES
from deltaforge.protocol.postgres.values import DECODERS

DOCS = Path(__file__).parents[2] / "docs" / "types"


def first_cells(page):
    rows = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("|")][2:]
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
