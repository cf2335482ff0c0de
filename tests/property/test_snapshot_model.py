"""Copied rows merged into a log whose commits become visible later: versions of a row never go backwards at a sink, and
in the end it has what the table has. Random schedules with several readers of chunks, crashes, reconnections, pauses,
truncations, changes of the definition, key changes and images that are not whole, for a sink that has what was saved
and one that keeps its own progress.
"""

import logging
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.snapshot_database import AtOnce, ByPosition, NothingDropped, NothingSettled, Rules
from tests.snapshot_model import run

SCHEDULES = int(os.environ.get("DELTAFORGE_SNAPSHOT_SCHEDULES", "400"))


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("is_exact", [True, False], ids=["snapshot", "lower_bound"])
@settings(max_examples=SCHEDULES, deadline=None)
@given(seed=st.integers(0, 1 << 62))
def test_model_never_backwards_never_lost(is_exact, seed):
    assert run(seed, Rules(is_exact=is_exact)) is None


@pytest.mark.parametrize(
    "wrong", [ByPosition, AtOnce, NothingSettled, NothingDropped], ids=lambda rules: rules.__name__
)
def test_model_catches_a_wrong_rule(wrong):
    assert any(run(seed, wrong(is_exact=False)) for seed in range(1000))
