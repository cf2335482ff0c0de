"""The page of checks says what the code checks."""

import re
from pathlib import Path

from deltaforge.doctor.examination import SINKS, SOURCES, all_checks
from deltaforge.doctor.reference import families, refreshed
from deltaforge.plugins import UNBUILT_SINKS, AnySink, AnySource

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_checks():
    assert refreshed(PAGE) == PAGE, "run: python -m deltaforge.doctor.reference docs/doctor.md"
    assert set(re.findall(r"<!-- checks (\w+) -->", PAGE)) == families()
    assert {name for name in all_checks() if f"| `{name}` |" not in PAGE} == set()


def test_every_check_is_one_that_the_code_notes():
    code = "".join(path.read_text() for path in (ROOT / "deltaforge" / "doctor").glob("*.py"))
    unused = {name for name in all_checks() if code.count(f'"{name}"') < 2}
    assert unused == {"time"} or unused == set()


def test_every_source_and_sink_that_runs_is_examined():
    def types(union):
        return {
            found.__args__[0] for spec in union.__args__[0].__args__ if (found := spec.model_fields["type"].annotation)
        }

    assert set(SOURCES) == types(AnySource)
    assert set(SINKS) == types(AnySink) - UNBUILT_SINKS
