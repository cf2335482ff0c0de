"""The progress of snapshots on a terminal."""

import io

from deltaforge.core.snapshot import SnapshotJob, TableCopy
from deltaforge.core.snapshot_view import job_view
from deltaforge.observability.snapshot_bars import BAR_WIDTH, SnapshotBars, job_line
from deltaforge.observability.terminal import StatusBelow
from tests.screen import Screen


def job(rows, fraction, *, status="running", tables=1, **live):
    copying = tuple(
        TableCopy("shop", f"orders{n or ''}", "copying", "keyset", plan="{}", row_count=rows, fraction=fraction)
        for n in range(tables)
    )
    done = TableCopy("shop", "users", "completed", row_count=7)
    return job_view(SnapshotJob("0f8c3a6e5d5b4c1f", "new_table", (done, *copying), status=status), **live)


def test_a_table_has_a_bar_with_the_rate_of_the_last_half_minute_and_what_is_left():
    bars = SnapshotBars()
    bars.rows([job(0, 0.0)], 0.0, width=100)
    bars.rows([job(1_000_000, 0.25)], 90.0, width=100)
    head, bar = bars.rows([job(1_300_000, 0.5, rows_per_second=10_400.0, eta_seconds=150.0)], 100.0, width=100)
    assert head == (
        "snapshot 0f8c3a6e (new table)  "
        f"{100 * (7 + 650_000) / 1_300_007:.0f} %  1,300,007 rows  1 of 2 tables  10,400/s  2 min left"
    )
    assert bar.split() == [
        "shop.orders",
        "━" * (BAR_WIDTH // 2),
        "50",
        "%",
        "1,300,000",
        "rows",
        "30,000/s",
        "20",
        "s",
        "left",
    ]


def test_what_waits_is_paused_or_asked_for_says_so():
    bars = SnapshotBars()
    assert "waits for transaction 7" in job_line(job(0, 0.0, waiting_for="transaction 7"))
    rows = bars.rows(
        [job(5, 0.1, status="paused"), {**job(0, 0.0), "status": "requested", "tables": []}], 0.0, width=80
    )
    assert "paused" in rows[0]
    assert rows[-1] == "snapshot 0f8c3a6e (new table)  requested"
    for status in ("completed", "failed", "cancelled"):
        assert bars.rows([job(5, 1.0, status=status)], 1.0, width=80) == []


def test_many_tables_and_a_narrow_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "24")
    rows = SnapshotBars().rows([job(5, 0.1, tables=30)], 0.0, width=40)
    assert len(rows) == 10
    assert rows[-1] == "  and 22 more"
    stream = io.StringIO()
    below = StatusBelow(stream)
    below.show("status", rows)
    below.write("a line\n")
    screen = Screen(40)
    screen.feed(stream.getvalue())
    assert (screen.rows[0], screen.rows[-1]) == ("a line", "status")
    assert len(screen.rows) == 12
    below.show("status")
    screen.feed("")
    screen = Screen(40)
    screen.feed(stream.getvalue())
    assert screen.rows == ["a line", "status"]
