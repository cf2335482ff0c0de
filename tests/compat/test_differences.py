"""The page shows the list that the comparison goes by."""

import re
from pathlib import Path

import pytest

from tests.compat.cases import CASES
from tests.compat.differences import LISTED, table

PAGE = (Path(__file__).parents[2] / "docs/debezium.md").read_text()


def test_the_page_shows_every_difference():
    assert table() in PAGE, "write the table of tests.compat.differences into docs/debezium.md"
    assert len({one.what for one in LISTED}) == len(LISTED)


def test_the_page_says_how_many_cases_there_are():
    assert f"in {sum(map(len, CASES.values()))} cases of settings" in PAGE


@pytest.mark.parametrize("listed", LISTED, ids=[one.what for one in LISTED])
def test_a_difference_has_reason_and_places(listed):
    assert all((listed.theirs, listed.ours, listed.why, listed.places))
    for place in listed.places:
        for pattern in place:
            re.compile(pattern)
        assert set(place[1:3]) != {".*"}, "it would cover everything"
