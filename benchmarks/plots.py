"""``python -m benchmarks.plots``: pictures of the newest sweeps of each setting, as SVG in ``docs/images``.

Left: rows per second and CPU of a drain. Right: what else the setting changes, which is the latency where it was
measured, the size on the broker for a codec, and memory otherwise. The same results make the same bytes. Needs the
packages of the optional group ``bench``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.report import RESULTS
from benchmarks.sweep_results import Result, Sweep, newest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#7b4ea3")
MIB = 1 << 20
ROOM = 1.12  # above the highest marker
STYLE = {
    "svg.hashsalt": "deltaforge",  # ids in the file are made of it, not of the time
    "svg.fonttype": "none",  # text stays text: smaller, and readable in the file
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
}


def main() -> None:
    """Draws every setting that has results, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--form", default="svg", choices=["svg", "png"])
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    for sweep in newest(RESULTS):
        target = options.into / f"tuning-{sweep.setting}.{options.form}"
        with mpl.rc_context(STYLE):
            draw(sweep).savefig(
                target, metadata={"Date": None, "Creator": None} if options.form == "svg" else None, dpi=120
            )
        print(target)


def draw(sweep: Sweep) -> Figure:
    """Two panels side by side, with the sources and workloads below."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.get_layout_engine().set(wspace=0.05)  # the labels of both panels meet in the middle
    left, right = figure.subplots(1, 2)
    _speed(left, sweep)
    if any(r.latencies for r in sweep.results):
        _latency(right, sweep)
    elif sweep.setting.endswith("compression.type"):
        _lines(right, sweep, lambda r: r.bytes_per_row, "bytes per row on the broker")
    else:
        _lines(right, sweep, lambda r: r.peak_rss_mb, "peak memory, MB")
    handles = [
        Line2D([], [], color=colour, marker="o", label=label)
        for colour, (label, _) in zip(COLOURS, sweep.series(), strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _speed(axes: Axes, sweep: Sweep) -> None:
    cpu = axes.twinx()
    cpu.grid(visible=False)
    for colour, (_, results) in zip(COLOURS, sweep.series(), strict=False):
        at = range(len(results))
        axes.plot(at, [r.rows_per_sec / 1000 for r in results], color=colour, marker="o")
        cpu.plot(at, [r.cpu_secs_per_million for r in results], color=colour, marker="s", linestyle=":", markersize=4)
    axes.set_ylabel("thousand rows/s  (solid)")
    cpu.set_ylabel("CPU s per million  (dotted)")
    cpu.set_ylim(0, cpu.dataLim.ymax * ROOM)
    _finish(axes, sweep, "Draining a backlog")


def _latency(axes: Axes, sweep: Sweep) -> None:
    for colour, (_, results) in zip(COLOURS, sweep.series(), strict=False):
        shown = [(at, r) for at, r in enumerate(results) if r.latencies]
        at = [place for place, _ in shown]
        axes.plot(at, [r.least_p99_ms for _, r in shown], color=colour, marker="^", linestyle="--")
        axes.plot(at, [r.p50_ms for _, r in shown], color=colour, marker="o")
    axes.set_ylabel("ms  (solid p50, dashed best p99)")
    _finish(axes, sweep, "From commit to consumer, 5,000 rows/s")


def _lines(axes: Axes, sweep: Sweep, figure_of: Callable[[Result], float | None], label: str) -> None:
    for colour, (_, results) in zip(COLOURS, sweep.series(), strict=False):
        axes.plot(range(len(results)), [figure_of(r) or 0.0 for r in results], color=colour, marker="o")
    axes.set_ylabel(label)
    _finish(axes, sweep, label[0].upper() + label[1:].partition(",")[0])


def _finish(axes: Axes, sweep: Sweep, title: str) -> None:
    """Values at equal distances, the default marked; scales begin at zero so that small differences look small."""
    values = list(dict.fromkeys(r.value for r in sweep.results))
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(sweep.setting)
    axes.set_ylim(0, axes.dataLim.ymax * ROOM)
    axes.margins(x=0.08)
    axes.set_xticks(range(len(values)), [_text(sweep, value) for value in values])
    if sweep.default in values:
        axes.axvspan(values.index(sweep.default) - 0.25, values.index(sweep.default) + 0.25, color="#f3efdc", zorder=0)


def _text(sweep: Sweep, value: Any) -> str:
    shown = f"{value:,}" if isinstance(value, int) else str(value)
    if sweep.setting in ("batch.max_bytes", "client_conf.batch.size") and isinstance(value, int):
        shown = f"{value // MIB} MiB" if value >= MIB else f"{value >> 10} KiB"
    return f"{shown}\n(default)" if value == sweep.default and value != "default" else shown


if __name__ == "__main__":
    main()
