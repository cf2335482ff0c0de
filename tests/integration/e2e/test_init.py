"""What `deltaforge init` writes and tells: it validates, and after the statements that it names it runs."""

import contextlib
import itertools
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from deltaforge.cli import main
from tests.pipelines import wait_for
from tests.processes import child

COMMAND = [sys.executable, "-P", "-m", "deltaforge"]
PASSWORD, ENCODED = "pass @1", "pass%20%401"


@pytest.fixture
def administrator(request):
    """Runs statements of an administrator, each once, and takes the user away at the end."""
    with request.getfixturevalue(request.param).fresh_database() as database:
        user = f"u_{database.name}"
        done = set()

        def run(statements):
            new = [each for each in statements if each not in done]
            done.update(new)
            database.execute(*(each.replace("…", PASSWORD) for each in new))

        yield database, user, run
        names = [f"'{user}'@'%'"] if database.server.scheme == "mysql" else [f'"{user}"']
        if names[0].startswith('"'):
            database.execute(f"drop owned by {names[0]}")
        database.execute(*(f"drop {'user' if database.server.scheme == 'mysql' else 'role'} {name}" for name in names))


@contextlib.contextmanager
def running(path, environment):
    """``deltaforge run``, ended in good order."""
    with path.with_suffix(".out").open("wb") as output, path.with_suffix(".err").open("wb") as errors:
        process = subprocess.Popen(
            [*COMMAND, "run", path.name], cwd=path.parent, env=environment, stdout=output, stderr=errors,
        )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, path.with_suffix(".err").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("administrator", ["postgres_18", "mysql", "mariadb"], indirect=True)
def test_what_it_writes_runs(administrator, kafka, redis_server, tmp_path, monkeypatch, capsys):
    database, user, run_statements = administrator
    monkeypatch.chdir(tmp_path)
    database.execute("create table t (id int primary key)", "insert into t values (-1)")
    source = database.url(user=user, password=ENCODED)
    redis_uri = f"redis://{redis_server.host}:{redis_server.port}/0"
    sinks = {"kafka": f"kafka://{kafka.bootstrap}/", "redis": redis_uri, "file": "file:out.jsonl", "stdout": "stdout"}
    environment = dict(os.environ)
    for sink, address in sinks.items():
        name = f"{database.name}-{sink}"
        assert main(["init", "--source", source, "--sink", address, "--name", name, "-o", f"{sink}.yaml"]) == 0
        told = capsys.readouterr().err
        assert ENCODED not in told + (tmp_path / f"{sink}.yaml").read_text()
        run_statements(re.findall(r"^  (.*);$", told, re.MULTILINE))
        for variable in re.findall(r"export (\w+)=", told):
            environment[variable] = ENCODED
        assert f"  deltaforge doctor {sink}.yaml\n  deltaforge run {sink}.yaml\n" in told
    doctor = [*COMMAND, "doctor", "file.yaml"]
    done = subprocess.run(doctor, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    table = "public.t" if database.server.scheme == "postgres" else f"{database.name}.t"
    stream = f"{database.name}-redis:{table}"
    numbers = itertools.count()

    def is_everywhere():
        database.execute(f"insert into t values ({next(numbers)})")
        with redis_server.connect() as client:
            texts = [
                path.read_text() if path.exists() else ""
                for path in map(tmp_path.joinpath, ("out.jsonl", "stdout.out"))
            ]
            return client.xlen(stream) and all('"after":{"id":' in text for text in texts)

    with contextlib.ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(running(tmp_path / f"{sink}.yaml", environment))
        wait_for(is_everywhere, interval_secs=0.5)
        wait_for(lambda: kafka.messages(f"{database.name}-kafka.{table}"), interval_secs=0.5)
        copied = re.compile(r'"after":{"id":-1},.*"op":"r"')
        wait_for(lambda: copied.search((tmp_path / "out.jsonl").read_text()))


def test_it_replaces_nothing_unless_it_is_told_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["init", "--yes", "--source", "mysql://root@localhost/shop", "--sink", "stdout"]
    assert main(command) == 0
    (tmp_path / "shop.yaml").write_text("mine")
    assert main(command) == 2
    assert "shop.yaml is there already" in capsys.readouterr().err
    assert (tmp_path / "shop.yaml").read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert main(["validate", "--strict", "shop.yaml"]) == 0
    assert main([*command, "--name", "a b", "-o", "p.yaml"]) == 2
    assert "metadata.name" in capsys.readouterr().err
    assert main([*command, "-o", "none/p.yaml"]) == 2
    assert "cannot write none/p.yaml" in capsys.readouterr().err


WRONG = [
    ("oracle://h/d", "stdout"), ("postgres://", "stdout"), ("postgres://h:port/d", "stdout"), ("shop", "stdout"),
    ("mysql://u:${X}@h/d", "stdout"), ("mysql://h/d", "nats://h"), ("mysql://h/d", "kafka://"), ("mysql://h/d", "redis://"),
    ("mysql://h/d", "file:"), ("mysql://h/d", "file:folder/"), ("mysql://h/d", "kafka://h\n/x"), ("mysql://h/d?x=y", "stdout"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "sink"), WRONG)
def test_an_address_that_is_none_is_refused_with_what_to_write(source, sink, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--yes", "--source", source, "--sink", sink]) == 2
    assert "write " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nothing_is_asked(tmp_path, monkeypatch):
    for given in ([], ["--source", "mysql://h/d"]):
        done = subprocess.run(
            [*COMMAND, "init", *given],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "is missing (write " in done.stderr


def test_a_person_is_asked_until_the_answer_is_understood(tmp_path):
    ours, theirs = pty.openpty()
    process = child([*COMMAND, "init"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    answers = ["shop", "postgres://app:secret@localhost/shop", "", "public.orders", "nats://h", "file:out.jsonl"]
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert process.wait(60) == 0, said
    text = (tmp_path / "shop.yaml").read_text()
    assert '"postgres://app:${PGPASSWORD}@localhost:5432/shop"' in text
    assert 'tables: ["public.orders"]' in text
    assert 'path: "out.jsonl"' in text
    assert said.count(b"Source (") == said.count(b"Sink (") == 2
