"""What the images of `bench.plots` have in common: points read from files, panels, lines, look."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image

Point = dict[str, Any]

LOOK: dict[Any, Any] = {
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 110,
    "font.size": 8.5,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
}
COLOURS = ("#0b6e99", "#d1602b", "#4b8b3b", "#7a4b9a", "#8c8c8c", "#c2a01e", "#b03060", "#222222")
BITS_COLOURS = {1: COLOURS[2], 2: COLOURS[0], 4: COLOURS[1], 8: COLOURS[3], 16: COLOURS[4]}
LINES = ("-", "--", ":", "-.")
PANEL = (3.4, 2.8)
"""Inches of a panel."""
SHADES = 64
"""Colours of a saved image."""
IDENTITY = (
    *("kind", "size", "collection", "database", "bits", "prefetch", "share", "how", "phase"),
    *("threads", "share of probes"),
)


class Points:
    """Measured points, the last of each."""

    def __init__(self, files: Iterable[Path]) -> None:
        last: dict[tuple[Any, ...], Point] = {}
        for file in files:
            for line in file.read_text(encoding="utf-8").splitlines():
                point = json.loads(line)
                # A kind may be called as the setting that is varied.
                about = tuple(point.get(key) for key in (*IDENTITY, point["kind"]))
                about += (point.get("allowance MB", 0) == 0,)
                last.pop(about, None)
                last[about] = point
        self._points = list(last.values())

    def of(self, kind: str) -> list[Point]:
        """The points of a kind."""
        return [point for point in self._points if point["kind"] == kind]


def panels(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure and its panels, row by row."""
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def grouped(points: Sequence[Point], *keys: str) -> dict[tuple[Any, ...], list[Point]]:
    """Points by the values of some keys, in order of appearance."""
    groups: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(point.get(key) for key in keys), []).append(point)
    return groups


def line(
    axes: Axes, points: Sequence[Point], x: str, y: str, order: str | None = None, **style: Any
) -> None:
    """A line through the points that have both values, in the order of a third (default: x)."""
    there = [p for p in points if p.get(x) is not None and p.get(y) is not None]
    there.sort(key=lambda p: float(p[order or x]))
    if there:
        axes.plot([p[x] for p in there], [p[y] for p in there], marker="o", **style)


def label(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Names of the axes, and a legend where something has a name."""
    axes.set(xlabel=x, ylabel=y, title=title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def log(axes: Axes, direction: str, values: Sequence[float], names: Sequence[str]) -> None:
    """A logarithmic axis with these ticks."""
    axis = axes.xaxis if direction == "x" else axes.yaxis
    (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
    axis.set_ticks(values, names)
    axis.set_ticks([], minor=True)


def log_ms(axes: Axes, direction: str = "y") -> None:
    """A logarithmic axis with ticks at 1, 2, 5, 10, ..."""
    axis = axes.xaxis if direction == "x" else axes.yaxis
    (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def short(number: float) -> str:
    """5000: "5k"."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{suffix}"
    return f"{number:.3g}"


def save(figure: Figure, path: Path) -> None:
    """Writes a small PNG."""
    raw = io.BytesIO()
    figure.savefig(raw)
    with Image.open(raw) as image:
        image.convert("RGB").quantize(SHADES).save(path, optimize=True)
