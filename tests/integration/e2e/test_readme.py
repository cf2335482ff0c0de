"""What README tells a new user to type, typed in a fresh folder."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.fixtures.ports import free_addresses
from tests.pipelines import file_events, wait_for

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
FIRST = README[README.index("## A first pipeline") : README.index("## What works today")]
DONE_ELSEWHERE = ["pip install ."]  # by the tests of packaging


class Shell:
    """Runs command lines in a folder; those that do not end by themselves are left running."""

    def __init__(self, folder, environment):
        self._folder = folder
        self._environment = environment
        self._running = []

    def type(self, line):
        """Run it; its output."""
        words = self._words(line)
        done = subprocess.run(
            words, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def leave_running(self, line):
        with (self._folder / "output.log").open("ab") as log:
            process = subprocess.Popen(
                self._words(line), cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    def end(self):
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _words(self, line):
        words = shlex.split(line, comments=True)
        return [sys.executable, "-P", "-m", "deltaforge", *words[1:]] if words[0] == "deltaforge" else words


def answers(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status == 200
    except urllib.error.URLError:
        return False


def test_the_first_pipeline_of_a_new_user(postgres_database, tmp_path):
    """Only the addresses are other ones: those of the test's database, and free ports."""
    database, (api, metrics) = postgres_database, free_addresses(2)
    server = database.server
    document = re.search(r"`pipeline.yaml`:\n\n```yaml\n(.*?)```", FIRST, re.DOTALL)[1]
    for there, here in (
        ("postgres://postgres:", f"postgres://{server.user}:"),
        ("localhost:5432/shop", f"{server.host}:{server.port}/{database.name}"),
        ("slot: deltaforge", f"slot: s_{database.name}"),
    ):
        assert there in document
        document = document.replace(there, here)
    (tmp_path / "pipeline.yaml").write_text(document)
    database.execute("create table orders (id int primary key)", "create publication shop for all tables")
    shell = Shell(tmp_path, {**os.environ, "PGPASSWORD": server.password, "DELTAFORGE_SERVER": f"http://{api}"})
    lines = [line for block in re.findall(r"```sh\n(.*?)```", FIRST, re.DOTALL) for line in block.splitlines()]
    number = 0

    def insert():
        nonlocal number
        number += 1
        database.execute(f"insert into orders values ({number})")

    try:
        for line in lines:
            if line in DONE_ELSEWHERE:
                continue
            if line.startswith("deltaforge run "):
                process = shell.leave_running(line)
                wait_for(lambda: "source connected" in (tmp_path / "output.log").read_text())
                insert()
                wait_for(lambda: len(file_events(tmp_path / "changes.jsonl")) == number)
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=60) == 0
            elif line.startswith("deltaforge serve "):
                line = line.partition("#")[0] + f" --api-addr {api} --metrics-addr {metrics}"  # noqa: PLW2901
                plane = shell.leave_running(line)
                wait_for(lambda: answers(f"http://{api}/pipelines/shop"))
            elif line.startswith("deltaforge tail "):
                tail = shell.leave_running(line)
                while tail.poll() is None:
                    insert()
                    wait_for(lambda: len(file_events(tmp_path / "changes.jsonl")) == number)
                assert tail.returncode == 0, (tmp_path / "output.log").read_text()
            else:
                assert shell.type(line.replace("localhost:8080", api))
        plane.send_signal(signal.SIGTERM)
        assert plane.wait(timeout=60) == 0
    finally:
        shell.end()
    assert [event["after"]["id"] for event in file_events(tmp_path / "changes.jsonl")] == list(range(1, number + 1))
