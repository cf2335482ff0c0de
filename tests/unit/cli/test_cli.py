import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import deltaforge
from deltaforge.checkpoint.reset import read_reset
from deltaforge.checkpoint.skips import HeldEvent, Skips
from deltaforge.cli import main
from deltaforge.core.errors import MissingDependencyError, SourceError
from deltaforge.kernel import description
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.storage.file_lock import FileLock


def replaced(monkeypatch, module, **names):
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**names))


def deltaforge_command(*args):
    return subprocess.run([sys.executable, "-m", "deltaforge", *args], capture_output=True, text=True, check=False)


def test_version_is_printed_without_importing_the_engine():
    code = (
        "import sys; from deltaforge.cli import main\n"
        "try:\n    main(['--version'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'pydantic', 'bytewax', 'yaml', 'quart', 'confluent_kafka', 'psycopg'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"deltaforge {deltaforge.__version__}, decoders: {description}\n"


def test_python_decoders_can_be_forced():
    environment = {**os.environ, "DELTAFORGE_PURE": "1"}
    command = [sys.executable, "-m", "deltaforge", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.endswith("decoders: python (DELTAFORGE_PURE is set)\n")


def test_validate_says_what_it_found(document, capsys):
    assert main(["validate", str(document)]) == 0
    assert capsys.readouterr().out == "valid: pipeline orders-cdc, source mysql, 1 sink\n"


def test_validate_prints_the_json_schema(capsys):
    assert main(["validate", "--schema"]) == 0
    assert "metadata" in json.loads(capsys.readouterr().out)["properties"]


def test_validate_without_a_file_is_a_usage_error(capsys):
    assert main(["validate"]) == 2
    assert "FILE is missing" in capsys.readouterr().err


def test_a_wrong_document_ends_with_2_and_its_path(document):
    document.write_text(document.read_text().replace("topic: orders", "subject: orders"))
    done = deltaforge_command("validate", str(document))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: spec.sinks[0].config: missing field `topic` at line 9 column 15; "
        "spec.sinks[0].config.subject: unknown field at line 9 column 65\n"
    )


def test_a_document_for_a_later_version_ends_with_2(document, capsys):
    document.write_text(document.read_text().replace("processors: []", "processors: [{type: filter}]"))
    assert main(["validate", str(document)]) == 2
    assert "error: spec.processors[0].type: " in capsys.readouterr().err


def test_a_missing_file_ends_with_2(tmp_path, capsys):
    assert main(["validate", str(tmp_path / "none.yaml")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_warnings_go_to_standard_error_and_strict_makes_them_errors(document, capsys):
    document.write_text(document.read_text() + "  extra: 1\n")
    assert main(["validate", str(document)]) == 0
    assert capsys.readouterr().err == "warning: spec.extra: unknown field is ignored\n"
    assert main(["validate", "--strict", str(document)]) == 2
    assert capsys.readouterr().err == "error: spec.extra: unknown field at line 10 column 10\n"


@pytest.mark.parametrize("argv", [[], ["fly"], ["run"], ["explain"], ["serve", "--storage-backend", "oracle"]])
def test_a_command_line_that_is_not_understood_ends_with_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: deltaforge" in capsys.readouterr().err


def test_run_hands_the_document_to_the_launcher(document, tmp_path, monkeypatch):
    seen = []
    replaced(monkeypatch, "deltaforge.runtime.launcher", run_foreground=lambda *args: seen.append(args) or 7)
    assert main(["run", str(document), "--state-dir", str(tmp_path)]) == 7
    [(parsed, state_dir, storage_path)] = seen
    assert (parsed.spec.metadata.name, state_dir, storage_path) == ("orders-cdc", tmp_path, None)


def raising(error):
    def run(*_args):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SourceError("cannot connect to db", kind="connect"), 1, "error: cannot connect to db"),
        (MissingDependencyError("no client", hint="pip install x"), 3, "error: no client (pip install x)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_the_exit_code_says_what_happened(document, monkeypatch, capsys, error, code, text):
    replaced(monkeypatch, "deltaforge.runtime.launcher", run_foreground=raising(error))
    assert main(["run", str(document)]) == code
    assert capsys.readouterr().err == f"{text}\n"


def test_explain_prints_the_plan(document, monkeypatch, capsys):
    replaced(monkeypatch, "deltaforge.runtime.plan", explain=lambda spec, *, mermaid: f"{spec.metadata.name} {mermaid}")
    assert main(["explain", str(document)]) == 0
    assert main(["explain", "--mermaid", str(document)]) == 0
    assert capsys.readouterr().out == "orders-cdc False\norders-cdc True\n"


def test_the_demo_is_told_how_long_and_where(monkeypatch, tmp_path):
    seen = []
    replaced(monkeypatch, "deltaforge.demo", main=lambda *args: seen.append(args) or 0)
    assert main(["demo"]) == 0
    assert main(["demo", "--steps", "5", "--keep", str(tmp_path)]) == 0
    assert seen == [(2000, None), (5, tmp_path)]


@pytest.fixture
def served(monkeypatch):
    seen = []
    replaced(monkeypatch, "api.server", serve=lambda options: seen.append(options) or 0)
    monkeypatch.delenv("DELTAFORGE_TOKEN", raising=False)
    return seen


def test_serve_has_the_defaults_of_the_contract(served):
    assert main(["serve"]) == 0
    [options] = served
    assert (options.api_addr, options.metrics_addr) == ("127.0.0.1:8080", "127.0.0.1:9000")
    assert (options.storage_backend, options.storage_path) == ("sqlite", Path("data/deltaforge.db"))
    assert (options.config, options.token, options.token_file, options.insecure) == (None, None, None, False)
    assert options.allow_code is False


def test_serve_passes_its_options_on(served, tmp_path):
    argv = ["serve", "-c", "p", "--api-addr", "h:1", "--metrics-addr", "h:2", "--storage-backend", "memory"]
    network = ["--token-file", "t", "--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "ca", "--insecure"]
    network += ["--allowed-host", "a", "--allowed-host", "b", "--allow-code"]
    assert main([*argv, "--state-dir", str(tmp_path), "--storage-path", "x.db", *network]) == 0
    [options] = served
    assert (options.config, options.api_addr, options.metrics_addr) == (Path("p"), "h:1", "h:2")
    assert (options.storage_backend, options.storage_path) == ("memory", Path("x.db"))
    assert (options.state_dir, options.token_file, options.insecure) == (tmp_path, Path("t"), True)
    assert (options.tls_cert, options.tls_key, options.tls_client_ca) == (Path("c"), Path("k"), Path("ca"))
    assert (options.allowed_hosts, options.allow_code) == (("a", "b"), True)


def test_the_token_comes_from_the_environment(served, monkeypatch):
    monkeypatch.setenv("DELTAFORGE_TOKEN", "from-env")
    main(["serve"])
    assert [options.token for options in served] == ["from-env"]


@pytest.mark.parametrize(
    "argv", [["--token", "hunter2hunter2"], ["--token=hunter2hunter2"], ["--tok", "hunter2hunter2"]]
)
def test_a_token_on_the_command_line_is_refused_with_the_remedy(served, capsys, argv):
    with pytest.raises(SystemExit):
        main(["serve", *argv])
    said = capsys.readouterr().err
    assert served == []
    assert "hunter2" not in said
    if argv != ["--tok", "hunter2hunter2"]:
        assert "DELTAFORGE_TOKEN" in said


def test_a_wrong_log_filter_ends_with_2(served, monkeypatch, capsys):
    monkeypatch.setenv("DELTAFORGE_LOG", "loud")
    assert main(["serve"]) == 2
    assert "unknown log level 'loud'" in capsys.readouterr().err


def test_no_password_reaches_the_terminal(document, capsys):
    document.write_text(document.read_text().replace("type: kafka", "type: kafkaesque") + "  x: 1\n")
    assert main(["validate", str(document)]) == 2
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err


def test_a_reader_that_goes_away_is_no_traceback():
    read = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m deltaforge validate --schema | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (read.stdout, read.stderr) == ("{", "")


def test_checkpoints_are_shown_and_reset_while_nothing_runs(document, tmp_path, capsys):
    state = ["--state-dir", str(tmp_path / "state")]
    assert main(["checkpoints", str(document), *state]) == 0
    assert capsys.readouterr().out == "[]\n"
    assert main(["checkpoints", str(document), *state, "--reset", '{"file": "b.000001", "pos": 4}']) == 0
    assert "all sinks at that position" in capsys.readouterr().out
    assert main(["checkpoints", str(document), *state, "--reset", "earliest", "--sink", "kafka-1"]) == 0
    paths = PipelinePaths(tmp_path / "state", "orders-cdc")
    assert read_reset(paths.reset).view() == {"to": "earliest", "sink_id": "kafka-1"}
    for wrong in (["--reset", "now"], ["--reset", "{x"], ["--reset", '{"lsn": "0/1"}'], ["--sink", "kafka-1"]):
        assert main(["checkpoints", str(document), *state, *wrong]) == 2
    lock = FileLock(paths.lock)
    assert lock.take()
    assert main(["checkpoints", str(document), *state, "--reset", "latest"]) == 1
    assert "is running: its checkpoint can be reset only while it is stopped" in capsys.readouterr().err
    lock.close()


def test_an_event_that_holds_a_pipeline_up_is_shown_and_let_pass(document, tmp_path, capsys):
    command = ["skip", str(document), "--state-dir", str(tmp_path / "state")]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"held": None, "skipped": []}
    assert main([*command, "--at", "b.000001:4", "--reason", "r"]) == 1
    paths = PipelinePaths(tmp_path / "state", "orders-cdc")
    paths.create()
    event = HeldEvent(position={"file": "b.000001", "pos": 812}, server="s", digest="", what="delete from t")
    Skips(paths.root).hold(event)
    for wrong in (["--at", "812"], ["--at", "b.000001:x"], ["--reason", "r"], ["--at", "b.000001:812"]):
        assert main([*command, *wrong]) == 2
    assert main([*command, "--at", "b.000001:813", "--reason", "r"]) == 1
    assert "stands at" in capsys.readouterr().err
    assert main([*command, "--at", "b.000001:812", "--reason", "done by hand"]) == 0
    assert "goes past this event and no other" in capsys.readouterr().out
    assert Skips(paths.root).of(event).reason == "done by hand"


@pytest.mark.parametrize("verb", ["run", "checkpoints", "skip", "serve"])
def test_a_state_folder_that_is_a_file_is_said_to_be_none(document, tmp_path, verb, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        main([verb, *([] if verb == "serve" else [str(document)]), "--state-dir", str(tmp_path / "file")])
    assert end.value.code == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_full_disk_behind_the_output_is_no_traceback():
    command = f"{sys.executable} -m deltaforge validate --schema > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")
