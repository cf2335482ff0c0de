"""What can be seen of the charts, the units and the workflows without their tools; ``make deploy-check`` has the rest."""

import re

import pytest
import yaml

import deltaforge
from deltaforge.spec import check_supported, parse_document
from tests.fixtures.fix_package import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/deltaforge"
CHARTS = [CHART, DEPLOY / "helm/deltaforge-cluster"]
each_chart = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
YAML_FILES = [
    path
    for path in sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml"), *(ROOT / ".github").rglob("*.yml")])
    if "templates" not in path.parts
]


def keys(found, above=""):
    """Every value as templates name it; tables that hold what somebody else defines are one value."""
    for name, value in found.items():
        path = f"{above}.{name}"
        yield path
        if isinstance(value, dict) and name not in ("requests", "limits", "resources", "labels"):
            yield from keys(value, path)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_well_formed(path):
    assert list(yaml.safe_load_all(path.read_text()))


def values(path):
    return yaml.safe_load(path.read_text())


@each_chart
def test_chart_and_program_have_one_version(chart):
    facts = values(chart / "Chart.yaml")
    assert facts["name"] == chart.name
    assert facts["version"] == facts["appVersion"] == deltaforge.__version__
    for path in (DEPLOY / "compose.yaml", DEPLOY / "compose/cluster.yaml"):
        images = {service.get("image", "") for service in values(path)["services"].values()}
        assert {image for image in images if image.startswith("deltaforge:")} == {
            f"deltaforge:{deltaforge.__version__}"
        }


@each_chart
def test_every_value_is_used_and_every_used_one_is_there(chart):
    templates = "".join(path.read_text() for path in sorted((chart / "templates").iterdir()))
    known, used = set(keys(values(chart / "values.yaml"))), set(re.findall(r"\.Values((?:\.\w+)+)", templates))
    assert used <= known
    assert {path for path in known if not any(u.startswith(path) or path.startswith(u) for u in used)} == set()


@each_chart
def test_the_cases_set_every_value(chart):
    """So that a new value is rendered, and judged by the schemas, too."""
    cases = [set(keys(values(case))) for case in (DEPLOY / "helm/cases" / chart.name).iterdir()]
    assert len(cases) > 1
    left = {
        ".image.tag", ".image.pullPolicy", ".logLevel", ".resources", ".terminationGracePeriodSeconds", ".tmpSizeLimit", ".service",
        ".serviceAccount", ".serviceMonitor.interval", ".dashboard.labels", ".podDisruptionBudget.maxUnavailable",
        *([".networkPolicy.enabled"] if chart != CHART else []),
    }  # fmt: skip
    unset = set(keys(values(chart / "values.yaml"))) - set().union(*cases)
    assert {path for path in unset if not any(path == name or path.startswith(f"{name}.") for name in left)} == set()


@each_chart
def test_the_example_of_the_values_is_a_valid_document(chart):
    commented = re.search(r"^#( +)metadata: .*\n(?:#\1.*\n)+", (chart / "values.yaml").read_text(), re.MULTILINE)
    document = yaml.safe_load(re.sub(rf"^#{commented[1]}", "", commented[0], flags=re.MULTILINE))
    check_supported(parse_document(document).spec)


def test_the_chart_carries_the_rules_and_the_dashboard_themselves():
    assert (CHART / "files/alerts.yaml").read_bytes() == (DEPLOY / "prometheus/alerts.yaml").read_bytes()
    assert (CHART / "files/deltaforge.json").read_bytes() == (DEPLOY / "grafana/deltaforge.json").read_bytes()


@each_chart
def test_a_pod_is_given_longer_than_a_stop_takes(chart):
    assert values(chart / "values.yaml")["terminationGracePeriodSeconds"] > 15


@pytest.mark.parametrize("name", ["deltaforge.service", "deltaforge-run@.service"])
def test_a_unit_waits_longer_than_a_stop_takes_and_writes_only_its_state(name):
    unit = (DEPLOY / "systemd" / name).read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert int(settings["TimeoutStopSec"]) > 15
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
