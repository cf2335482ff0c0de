"""``python -m benchmarks.chaos_picture RESULT.json… PICTURE.svg``: the timelines of chaos runs.

One panel for each pipeline: rows written, events delivered (with what came twice), and every fault at its moment.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.chaos_timeline import Round
from benchmarks.plots import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {
    "kill": ("x", "#b3261e", "kill"),
    "point": ("*", "#7b4ea3", "kill at a named point"),
    "kill in outage": ("X", "#b3261e", "kill in an outage"),
    "cut": ("|", "#2e7d4f", "database connection cut"),
    "stall": ("s", "#2e7d4f", "database silent"),
    "outage": ("v", "#c2571a", "sink outage"),
    "large": ("^", "#9a9a9a", "large transaction"),
    "stop": ("s", "#9a9a9a", "stop and start"),
    "rescale": ("D", "#9a9a9a", "other processes and workers"),
    "other lanes": ("d", "#9a9a9a", "another number of lanes"),
    "lanes refused": ("1", "#9a9a9a", "that, refused"),
    "shard away": ("v", "#2e7d4f", "a shard's server away"),
}
PANEL_INCHES = (4.8, 2.0)
BELOW = -0.10
"""Place of the fault marks, in heights of the panel."""


def main() -> None:
    *results, picture = map(Path, sys.argv[1:])
    save([each for path in results for each in msgspec.json.decode(path.read_bytes(), type=_Result).rounds], picture)


class _Result(msgspec.Struct):
    rounds: list[Round]


def save(rounds: Sequence[Round], picture: Path) -> None:
    """Write the picture; the same rounds make the same bytes."""
    with mpl.rc_context(STYLE):
        metadata = {"Date": None, "Creator": None} if picture.suffix == ".svg" else None
        draw(rounds).savefig(picture, metadata=metadata, dpi=110)
    print(picture)


def draw(rounds: Sequence[Round]) -> Figure:
    """Two panels in a row, the meaning of lines and marks below."""
    columns = min(2, len(rounds))
    row_count = -(-len(rounds) // columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * row_count + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(row_count, columns, squeeze=False)
    for axes, each in zip(grid.flat, rounds, strict=False):
        _panel(axes, each)
    for axes in grid.flat[len(rounds) :]:
        axes.remove()
    figure.legend(handles=_handles(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, each: Round) -> None:
    at = [sample[0] for sample in each.samples]
    axes.plot(at, [sample[1] for sample in each.samples], color="#9a9a9a", linewidth=2.5)
    axes.plot(at, [sample[2] for sample in each.samples], color=COLOURS[0], linewidth=1)
    top = max((max(sample[1:]) for sample in each.samples), default=1)
    for fault in each.faults:
        marker, colour, _ = KINDS[fault.kind]
        axes.axvline(fault.at_secs, color=colour, linewidth=0.4, alpha=0.5)
        axes.plot(fault.at_secs, BELOW * top, marker, color=colour, markersize=5, clip_on=False)
    axes.set_ylim(BELOW * top * 2, top * 1.05)
    axes.set_yticks([0, top], ["0", f"{top:,}"])
    held = "FAILED" if each.failure else "held"
    axes.set_title(
        f"{each.source} → {each.sink}: {each.kill_count} kills, {each.repeated_count:,} repeated, {held}", fontsize=9
    )
    axes.set_xlabel("seconds")


def _handles() -> list[Line2D]:
    lines = [
        Line2D([], [], color="#9a9a9a", linewidth=2.5, label="rows written"),
        Line2D([], [], color=COLOURS[0], label="events delivered, repetitions too"),
    ]
    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=label)
        for marker, colour, label in KINDS.values()
    ]
    return lines + marks


if __name__ == "__main__":
    main()
