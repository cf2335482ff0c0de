"""A finding, a clean answer and no answer are three exit codes; pip-audit itself has two."""

import json
import tomllib

import pytest

from tests.fixtures.fix_package import ROOT, script

LOCKS = ["requirements.lock", "build.lock"]


@pytest.fixture(scope="module")
def audit():
    return script(ROOT / "deploy/audit.py")


CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
BAD = {"name": "quart", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"]}]}
UNASKED = {"name": "redis", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN], 0, "1 versions, nothing is known"),
        ([CLEAN, BAD], 1, "quart 0.1: PYSEC-1, mended in 0.2"),
        ([CLEAN, UNASKED], 3, "NOT AUDITED: 1 of 2 packages: redis"),
        ([BAD, UNASKED], 1, "NOT AUDITED: 1 of 2 packages: redis"),
        ([], 3, "NOT AUDITED: an empty lock"),
    ],
    ids=["clean", "finding", "not asked", "finding and not asked", "empty"],
)
def test_each_outcome_has_its_exit_code(audit, capsys, packages, code, said):
    assert audit.judged("a.lock", json.dumps({"dependencies": packages, "fixes": []}), "") == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"error": 1}'])
def test_no_answer_is_no_pass(audit, capsys, text):
    assert audit.judged("a.lock", text, "Traceback\nConnectionError: no route to host\n") == 3
    assert "no answer: ConnectionError: no route to host" in capsys.readouterr().err


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_versions_and_hashes_and_no_host(name):
    text = (ROOT / "deploy" / name).read_text()
    entries = [entry for entry in text.split("\n") if entry and entry[0] not in " #"]
    assert entries
    assert all(" \\" in entry and "==" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_the_locks_have_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name, wanted in (
        ("requirements.lock", project["project"]["dependencies"]),
        ("build.lock", project["build-system"]["requires"]),
    ):
        text = (ROOT / "deploy" / name).read_text().lower().replace("_", "-")
        missing = [w for w in wanted if f"\n{w.split('=')[0].split('>')[0].split('[')[0].lower()}==" not in f"\n{text}"]
        assert missing == [], "run: make lock"
