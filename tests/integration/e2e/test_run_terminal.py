"""``deltaforge run`` at a terminal: a progress line below whole log lines, and an end that says what was done."""

import os
import pty
import re
import signal
import sys

import yaml

from tests.pipelines import file_events, file_sink, postgres_source, wait_for
from tests.processes import child
from tests.screen import Screen

LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (INFO |WARN |ERROR) deltaforge\.\S+: .*")


def run_at_a_terminal(folder, document, until, *, columns=200):
    """The rows of the terminal after Ctrl-C at ``until``, and the exit code."""
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(document))
    master, slave = pty.openpty()
    process = child(
        [sys.executable, "-m", "deltaforge", "run", path, "--state-dir", folder / "state"],
        stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    screen, is_asked = Screen(10_000), False
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            screen.feed(data.decode())
            if not is_asked and until(screen.rows):
                process.send_signal(signal.SIGINT)
                is_asked = True
    return screen.rows, process.wait(timeout=60)


def test_progress_and_log_lines_share_a_terminal(postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    sinks = [file_sink(tmp_path / "out")]
    document = {
        "metadata": {"name": "p", "tenant": "acme"},
        "spec": {"source": postgres_source(postgres_database), "processors": [], "sinks": sinks},
    }
    seen = []

    def until(rows):
        if "running" in rows[-1] and not seen:
            postgres_database.execute("insert into t select generate_series(1, 1234)")
            wait_for(lambda: len(file_events(tmp_path / "out")) == 1234)
            seen.append(rows[-1])
        return "1,234 events" in rows[-1]

    rows, code = run_at_a_terminal(tmp_path, document, until)
    assert code == 0
    assert rows[-1] == ""
    assert [row for row in rows[:-1] if not LINE.fullmatch(row)] == []
    assert any(re.search(r"sink file: 1,234 events delivered, stands at lsn [0-9A-F]+/[0-9A-F]+ ", row) for row in rows)


def test_tables_that_are_copied_have_bars_above_the_progress_line(postgres_database, tmp_path):
    postgres_database.execute(
        "create table t (id int primary key)",
        "insert into t select generate_series(1, 5000)",
        "create publication pub for all tables",
        "analyze t",
    )
    snapshot = {"mode": "initial", "chunk_size": 100, "max_rows_per_second": 500}
    document = {
        "metadata": {"name": "p", "tenant": "acme"},
        "spec": {
            "source": postgres_source(postgres_database, snapshot=snapshot),
            "processors": [],
            "sinks": [file_sink(tmp_path / "out")],
        },
    }
    bar = re.compile(r"  public\.t  ━+╸? +\d+ %  [\d,]+ rows  [\d,]+/s  \d+ s left")
    seen = []

    def until(rows):
        seen[:] = [row for row in rows[-3:-1] if bar.fullmatch(row.rstrip())] and rows[-3:]
        return seen

    rows, code = run_at_a_terminal(tmp_path, document, until)
    assert code == 0
    assert re.match(r"snapshot [0-9a-f]{8} \(initial\)  \d+ %  ", seen[0]), seen
    assert seen[2].startswith("p running")
    assert [row for row in rows[:-1] if not LINE.fullmatch(row)] == []


def test_a_long_error_is_wrapped_below_whole_log_lines(tmp_path):
    source = {"type": "mysql", "config": {"id": "src", "dsn": "mysql://root@127.0.0.1:1/x", "tables": ["x.*"]}}
    document = {
        "metadata": {"name": "p", "tenant": "acme"},
        "spec": {"source": source, "processors": [], "sinks": [file_sink(tmp_path / "out")]},
    }
    status = []

    def until(rows):
        status[:] = rows[next((n for n, row in enumerate(rows) if row.startswith("p  ")), 0) :]
        return "source: " in "".join(status) and len(status) > 1

    rows, code = run_at_a_terminal(tmp_path, document, until, columns=60)
    assert code == 0
    assert "127.0.0.1:1" in "".join(status)
    assert "…" not in "".join(status)
    assert [row for row in rows[:-1] if not LINE.fullmatch(row)] == []
