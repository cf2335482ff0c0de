"""The page of guarantees names tests and points that exist, and a test for each way of silent loss."""

import re
from pathlib import Path

from deltaforge.observability.kill_points import POINTS

ROOT = Path(__file__).parents[2]
WAYS = 18
"""Those that the design lists; the two of snapshots are one row."""
PAGE = (ROOT / "docs" / "guarantees.md").read_text()


def test_every_named_test_exists():
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_every_test_that_is_named_with_its_file_is_in_it():
    named = set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE))
    assert named
    assert {(file, name) for file, name in named if f"def {name}(" not in text_of(file)} == set()


def text_of(file):
    """A file below ``tests``, or one of those that are shipped for tests of plug-ins."""
    path = ROOT / ("deltaforge" if file.startswith("testing/") else "tests") / file
    return path.read_text() if path.exists() else ""


def test_every_way_of_silent_loss_has_a_test_or_says_that_there_is_nothing_to_lose_yet():
    section = PAGE.partition("## Silent loss\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == WAYS
    assert [row for row in rows if "::test_" not in row and "not built yet" not in row] == []


def test_every_point_is_described_as_the_code_does():
    assert [
        f"| `{point}` | {meaning} |" for point, meaning in POINTS.items() if f"| `{point}` | {meaning} |" not in PAGE
    ] == []
