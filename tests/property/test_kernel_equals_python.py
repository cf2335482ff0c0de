"""The compiled kernel gives the bytes and the errors of the Python decoders. ``make fuzz`` runs many more."""

import random

import pytest

from deltaforge.core.errors import DeltaForgeError
from deltaforge.protocol.kernel import description, kernel
from tests.fuzz import mysql_rows, postgres_rows

pytestmark = pytest.mark.skipif(kernel is None, reason=description)


@pytest.mark.parametrize("damage", [0.0, 1.0], ids=["valid", "damaged"])
def test_mysql_rows(damage):
    rnd = random.Random(4711)
    for n in range(1500):
        case = mysql_rows.Case(rnd, damage)
        assert case.by_kernel() == case.by_python(), n


@pytest.mark.parametrize("damage", [0.0, 1.0], ids=["valid", "damaged"])
def test_postgres_rows(damage):
    rnd = random.Random(4711)
    for n in range(1500):
        case = postgres_rows.Case(rnd, damage)
        assert case.by_kernel() == case.by_python(), n


def test_zero_dates_are_counted_alike():
    rnd, total = random.Random(5), 0
    for _ in range(500):
        case = mysql_rows.Case(rnd, 0)
        try:
            found, expected = mysql_rows.null_dates(case.rows, case.table)
        except DeltaForgeError:
            continue
        assert found == expected
        total += found
    assert total > 50
