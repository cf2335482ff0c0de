"""What can be seen of the chart, the unit and the workflows without their tools; ``make deploy-check`` has the rest."""

import re

import pytest
import yaml

import deltaforge
from deltaforge.spec import check_supported, parse_document
from tests.fixtures.fix_package import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/deltaforge"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
TEMPLATES = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
YAML_FILES = [
    path
    for path in sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml"), *(ROOT / ".github").rglob("*.yml")])
    if "templates" not in path.parts
]


def keys(values, above=""):
    """Every value as templates name it; tables that hold what somebody else defines are one value."""
    for name, value in values.items():
        path = f"{above}.{name}"
        yield path
        if isinstance(value, dict) and name not in ("requests", "limits", "resources", "labels"):
            yield from keys(value, path)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_well_formed(path):
    assert list(yaml.safe_load_all(path.read_text()))


def test_chart_and_program_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == deltaforge.__version__
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose["services"]["deltaforge"]["image"] == f"deltaforge:{deltaforge.__version__}"


def test_every_value_is_used_and_every_used_one_is_there():
    known, used = set(keys(VALUES)), set(re.findall(r"\.Values((?:\.\w+)+)", TEMPLATES))
    assert used <= known
    assert {path for path in known if not any(u.startswith(path) or path.startswith(u) for u in used)} == set()


def test_the_case_of_everything_sets_every_value():
    """So that a new value is rendered, and judged by the schemas, too."""
    case = set(keys(yaml.safe_load((DEPLOY / "helm/cases/everything.yaml").read_text())))
    trial = set(keys(yaml.safe_load((DEPLOY / "helm/cases/trial.yaml").read_text())))
    left = {
        ".image.tag", ".image.pullPolicy", ".logLevel", ".resources", ".terminationGracePeriodSeconds", ".tmpSizeLimit", ".service",
        ".serviceAccount", ".serviceMonitor.interval", ".dashboard.labels", ".podDisruptionBudget.maxUnavailable",
    }  # fmt: skip
    unset = set(keys(VALUES)) - case - trial
    assert {path for path in unset if not any(path == name or path.startswith(f"{name}.") for name in left)} == set()


def test_the_example_of_the_values_is_a_valid_document():
    commented = re.search(r"^#  shop\.yaml: \|\n((?:#    .*\n)+)", (CHART / "values.yaml").read_text(), re.MULTILINE)
    document = yaml.safe_load(re.sub(r"^#    ", "", commented[1], flags=re.MULTILINE))
    check_supported(parse_document(document).spec)


def test_the_chart_carries_the_rules_and_the_dashboard_themselves():
    assert (CHART / "files/alerts.yaml").read_bytes() == (DEPLOY / "prometheus/alerts.yaml").read_bytes()
    assert (CHART / "files/deltaforge.json").read_bytes() == (DEPLOY / "grafana/deltaforge.json").read_bytes()


def test_the_unit_waits_longer_than_a_stop_takes_and_writes_only_its_state():
    unit = (DEPLOY / "systemd/deltaforge.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert int(settings["TimeoutStopSec"]) > 15
    assert VALUES["terminationGracePeriodSeconds"] > 15
    assert (settings["ProtectSystem"], settings["StateDirectoryMode"]) == ("strict", "0700")
    assert settings["User"] == "deltaforge"
    assert "ReadWritePaths" not in settings


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_may_read_and_calls_releases_and_verbs_that_exist(path):
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    verbs = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make PYTHON=python ([\w-]+)", text)) <= verbs
    assert all(re.search(r"@v\d", step) for step in re.findall(r"uses: (\S+)", text))
