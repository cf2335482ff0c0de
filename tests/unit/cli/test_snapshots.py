"""``deltaforge snapshot`` with the file of a pipeline that does not run."""

import json

import pytest

from deltaforge.checkpoint.snapshot_requests import read_snapshot_requests
from deltaforge.cli import main
from deltaforge.cli.tables import age
from deltaforge.runtime.paths import PipelinePaths

DOCUMENT = {
    "metadata": {"name": "shop", "tenant": "acme"},
    "spec": {
        "source": {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/shop", "tables": []}},
        "processors": [],
        "sinks": [{"type": "stdout", "config": {"id": "screen"}}],
    },
}


@pytest.fixture
def run(tmp_path, capsys):
    """``run(*arguments)``: exit code, output and errors."""
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(DOCUMENT))

    def call(*arguments):
        code = main(["snapshot", str(file), *arguments, "--state-dir", str(tmp_path / "state")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_what_is_asked_for_waits_for_the_next_start(run, tmp_path):
    code, text, _ = run(
        "--table", "shop.orders", "--table", "shop.u*", "--sink", "screen", "--rate", "5", "--where", "a > 1"
    )
    (request,) = read_snapshot_requests(PipelinePaths(tmp_path / "state", "shop").snapshot_requests)
    assert (code, text) == (0, f"snapshot {request.id} is requested until the next start of the pipeline\n")
    assert (request.tables, request.sinks, request.max_rows_per_second) == (("shop.orders", "shop.u*"), ("screen",), 5)
    assert (request.where, request.truncate_first) == ("a > 1", False)
    code, text, _ = run()
    assert (code, text.splitlines()[0].split()) == (
        0,
        ["ID", "KIND", "STATUS", "DONE", "ROWS", "LEFT", "TABLES", "NOTE"],
    )
    assert text.splitlines()[1].split() == [
        request.id[:8],
        "ad_hoc",
        "requested",
        "0",
        "%",
        "0",
        "-",
        "shop.orders,",
        "shop.u*",
    ]
    code, text, _ = run("list", "--json")
    assert (code, json.loads(text)[0]["id"]) == (0, request.id)
    for action, status in (("pause", "paused"), ("resume", "requested"), ("cancel", "cancelled")):
        assert run(action, request.id[:5])[:2] == (0, f"snapshot {request.id} is {status}\n")
        assert json.loads(run("list", "--json")[1])[0]["status"] == status
    code, _, said = run("pause", request.id[:5])
    assert (code, "is cancelled" in said) == (1, True)
    assert run("show", "no")[0] == 4


WRONG = [
    (["start"], "start needs --table"),
    (["pause"], "pause needs the ID of a snapshot"),
    (["list", "abc"], "list takes no ID"),
    (["list", "--sink", "screen"], "--sink is for start"),
    (["show", "abc", "--truncate-first"], "--truncate-first is for start"),
    (["--table", "shop."], "tables[0]: table pattern 'shop.' has an empty half"),
    (["--table", "*", "--sink", "no"], "sinks[0]: the pipeline has no sink 'no'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_is_said(run, arguments, message):
    code, _, said = run(*arguments)
    assert (code, message in said) == (2, True), said


def test_times():
    assert [age(secs) for secs in (None, 0.5, 59, 7300)] == ["-", "0.5 s", "59 s", "2 h"]
