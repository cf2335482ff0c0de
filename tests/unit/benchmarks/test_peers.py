import os
import subprocess

import pytest

from benchmarks import report
from benchmarks.peers import debezium, tables
from benchmarks.peers.drain import Sample, _figures, rotated
from benchmarks.peers.latency import Steady
from benchmarks.processes import cpu_secs, rss_mb, tree


def steady(number, contender, p50, cpu):
    return Steady(
        round=number, source="mysql", contender=contender, rate=5000, p50_ms=p50, p99_ms=2 * p50, max_ms=9,
        cpu_secs_per_million=cpu,
    )  # fmt: skip


def test_a_ratio_is_the_median_of_the_rounds_and_says_how_much_better():
    results = [steady(0, "Debezium", 10, 6), steady(1, "Debezium", 40, 6), steady(2, "Debezium", 90, 6)]
    results += [steady(0, "ours", 5, 2), steady(1, "ours", 10, 2), steady(2, "ours", 10, 2)]
    last = tables.compared(results, tables.LATENCY).splitlines()[-1]
    assert last == "| mysql | ours | 4.0 | 4.0 | 3.0 |"


def test_figures_begin_with_the_first_message_and_warm_ones_with_the_half():
    samples = [
        Sample(0, 0, 0, 0),
        Sample(2, 0, 1, 50),
        Sample(3, 100, 2, 80),
        Sample(4, 500, 3, 90),
        Sample(6, 1000, 3.5, 70),
    ]
    found = _figures(samples, 0, "mysql", "ours", 700)
    assert (found.start_secs, found.rows_per_sec, found.warm_rows_per_sec) == (3, 300, 250)
    assert (found.cpu_secs_per_million, found.warm_cpu_secs_per_million) == (3500, 1000)
    assert found.peak_rss_mb == 90


def test_each_contender_is_first_once_in_so_many_rounds():
    assert [rotated(list("abc"), number)[0] for number in range(4)] == ["a", "b", "c", "a"]


def test_a_table_has_a_line_per_row_below_its_heads():
    assert report.table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_a_process_tree_holds_the_children():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert set(tree(os.getpid())) >= {os.getpid(), child.pid}
        assert rss_mb(os.getpid()) > rss_mb(child.pid)
        assert cpu_secs(os.getpid()) > 0


def test_a_missing_java_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"no java on the path.*17 or newer: apt-get install"):
        debezium.java()


def test_an_old_java_is_told_with_the_remedy(tmp_path, monkeypatch):
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with pytest.raises(SystemExit, match=r"is Java 11.0.2.*17 or newer"):
        debezium.java()
