"""The figures as tables: medians over the rounds, and ratios taken round by round before their median."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import report

PEER = "Debezium"
# Heading, field, format, and whether more of it is better, equal or worse: 1, 0, -1.
DRAINS = [
    ("Rows/s", "rows_per_sec", "{:,.0f}", 1),
    ("Rows/s, warm", "warm_rows_per_sec", "{:,.0f}", 1),
    ("CPU s per million", "cpu_secs_per_million", "{:.1f}", -1),
    ("CPU s per million, warm", "warm_cpu_secs_per_million", "{:.1f}", -1),
    ("Peak RSS", "peak_rss_mb", "{:,.0f} MB", -1),
    ("Start to first message", "start_secs", "{:.1f} s", 0),
    ("Message", "message_bytes", "{:.0f} B", 0),
]
LATENCY = [
    ("p50", "p50_ms", "{:.1f} ms", -1),
    ("p99", "p99_ms", "{:.1f} ms", -1),
    ("max", "max_ms", "{:.0f} ms", 0),
    ("CPU s per million", "cpu_secs_per_million", "{:.1f}", -1),
]
Column = tuple[str, str, str, int]


def compared(results: Sequence[Any], columns: Sequence[Column]) -> str:
    """The medians of each contender, and how many times better than Debezium each other one was."""
    groups = sorted({(result.source, result.contender) for result in results})
    figures = [[*group, *_medians(results, group, columns)] for group in groups]
    measured = [column for column in columns if column[3]]
    ratios = [[*group, *_ratios(results, group, measured)] for group in groups if group[1] != PEER]
    heads = ["Source", "Contender"]
    return "\n\n".join([
        report.table([*heads, *(head for head, *_ in columns)], figures),
        f"Times better than {PEER}, median of the ratios within a round:",
        report.table([*heads, *(head for head, *_ in measured)], ratios),
    ])  # fmt: skip


def _medians(results: Sequence[Any], group: tuple[str, str], columns: Sequence[Column]) -> list[str]:
    own = [result for result in results if (result.source, result.contender) == group]
    return [form.format(statistics.median(getattr(result, field) for result in own)) for _, field, form, _ in columns]


def _ratios(results: Sequence[Any], group: tuple[str, str], columns: Sequence[Column]) -> list[str]:
    rounds = {result.round: result for result in results if (result.source, result.contender) == group}
    peers = {result.round: result for result in results if (result.source, result.contender) == (group[0], PEER)}
    cells = []
    for _, field, _, sense in columns:
        pairs = [(getattr(rounds[number], field), getattr(peers[number], field)) for number in rounds]
        cells.append(
            f"{statistics.median(ours / theirs if sense > 0 else theirs / ours for ours, theirs in pairs):.1f}"
        )
    return cells
