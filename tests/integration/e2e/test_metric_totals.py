"""Totals of the control plane over the deletion of a pipeline."""

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink

NOBODY = {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/d", "tables": ["d.t"]}}


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def test_no_total_falls_when_a_pipeline_is_deleted_and_nothing_else_of_it_stays(plane):
    assert plane.call("POST", "/pipelines", document(NOBODY, file_sink("t.jsonl"), name="gone-soon"))[0] == 200
    assert 'deltaforge_pipeline_status{pipeline="gone-soon"}' in plane.call("GET", "/metrics")[1]
    assert plane.call("DELETE", "/pipelines/gone-soon")[0] == 204
    text = plane.call("GET", "/metrics")[1]
    assert "deltaforge_pipelines_total 1.0" in text
    assert "gone-soon" not in text
