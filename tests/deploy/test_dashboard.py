"""The dashboard: made by its script, with the rows and variables of the contract, and without queries that nobody can ask."""

import json
import re

import pytest

from tests.fixtures.fix_package import ROOT, script

FOLDER = ROOT / "deploy/grafana"
DASHBOARD = json.loads((FOLDER / "deltaforge.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_the_file_is_what_the_script_makes():
    module = script(FOLDER / "dashboard.py")
    assert (FOLDER / "deltaforge.json").read_text() == module.text(), "run: python deploy/grafana/dashboard.py"


def test_it_has_the_rows_and_variables_of_the_contract():
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    wanted = [
        "Fleet",
        "Top pipelines",
        "Throughput",
        "Latency and lag",
        "Checkpoints",
        "Dead letters",
        "Errors",
        "Batching",
    ]
    assert rows[: len(wanted)] == wanted
    assert rows[len(wanted) :] == ["Spool", "Slot", "Snapshots", "Shape of the data", "Infrastructure"]
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert variables == ["datasource", "instance", "tenant", "pipeline", "sink"]


def test_panels_fill_the_grid_without_covering_each_other():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_of_the_chosen_source_and_of_the_chosen_instances(panel):
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        selectors = re.findall(r"(?:deltaforge_\w+|up|scrape_duration_seconds)\{([^}]*)\}", target["expr"])
        assert selectors
        assert all('instance=~"$instance"' in selector for selector in selectors)
