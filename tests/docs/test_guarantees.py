"""The page of guarantees names tests and points that exist."""

import re
from pathlib import Path

from deltaforge.observability.kill_points import POINTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()


def test_every_named_test_exists():
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_every_point_is_described_as_the_code_does():
    assert [
        f"| `{point}` | {meaning} |" for point, meaning in POINTS.items() if f"| `{point}` | {meaning} |" not in PAGE
    ] == []
