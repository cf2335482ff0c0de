"""The alert rules, by Prometheus' own tool: well-formed, silent before their time, alone when they fire."""

import pytest
import yaml

from tests.fixtures.fix_package import ROOT

FOLDER = ROOT / "deploy/prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
CASES = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]


def test_the_rules_are_well_formed(promtool):
    status, said = promtool("check", "rules", "alerts.yaml", folder=FOLDER)
    assert status == 0, said
    assert f"{len(RULES)} rules found" in said


def test_the_rules_fire_when_they_have_to_and_only_then(promtool):
    status, said = promtool("test", "rules", "alerts_test.yaml", folder=FOLDER)
    assert status == 0, said


def test_every_alert_has_a_case_and_is_explained():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) <= {case["name"] for case in CASES}
    page = (ROOT / "docs/deploy.md").read_text()
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_is_wrong_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert "{{ $labels." in rule["annotations"]["summary"]
