"""Writes docs/images/scale.svg, the picture of the README, from the table of docs/benchmarks.md.

    python docs/make_pictures.py            # write
    python docs/make_pictures.py --check    # fail if the file is not what would be written

The figures are those of the table under "## Scale" alone. Text and background change colour
together with the reader's colour scheme, so that the text is readable in both.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "benchmarks.md"
TARGET = HERE / "images" / "scale.svg"

WIDTH, HEIGHT = 760, 300
TOP, BOTTOM = 70, 250
"""Vertical range of both plots, in pixels."""
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .small { font-size: 11px; fill: #57606a }
  .ground { fill: #ffffff; stroke: #d0d7de }
  .grid { stroke: #d8dee4 }
  .line { fill: none; stroke-width: 2 }
  .bits2 { stroke: #0969da } .dot2 { fill: #0969da }
  .bits4 { stroke: #bc4c00 } .dot4 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .ground { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #2f353d }
    .bits2 { stroke: #58a6ff } .dot2 { fill: #58a6ff }
    .bits4 { stroke: #f0883e } .dot4 { fill: #f0883e }
  }
"""


@dataclass(frozen=True)
class Point:
    """A row of the table."""

    documents: int
    bits: int
    latency: float
    """Median, in milliseconds."""
    overlap: float
    """Share of the exact ten best that was found."""


@dataclass(frozen=True)
class Plot:
    """One of the two plots: its place and its scale."""

    left: int
    """Pixels; a plot is 270 wide."""
    title: str
    ticks: Sequence[tuple[float, str]]
    value: Callable[[Point], float]
    is_logarithmic: bool

    def y(self, value: float) -> float:
        """Vertical place of a value, in pixels."""
        scale = math.log if self.is_logarithmic else float
        low, high = scale(self.ticks[0][0]), scale(self.ticks[-1][0])
        return BOTTOM - (scale(value) - low) / (high - low) * (BOTTOM - TOP)

    def x(self, documents: int) -> float:
        """Horizontal place of a number of documents, in pixels: 3,000 to 6,000,000, logarithmic."""
        return self.left + 270 * math.log(documents / 3000) / math.log(2000)


PLOTS = (
    Plot(
        60,
        "Median latency of a search, ms",
        [(0.5, "0.5"), (1, "1"), (2, "2"), (5, "5"), (10, "10"), (20, "20")],
        lambda point: point.latency,
        True,
    ),
    Plot(
        440,
        "Share of the exact ten best found",
        [(0.8, ".80"), (0.85, ".85"), (0.9, ".90"), (0.95, ".95"), (1, "1")],
        lambda point: point.overlap,
        False,
    ),
)


def read_points(text: str) -> list[Point]:
    """The rows of the first table under the heading "Scale"."""
    lines = iter(text.split("\n## Scale\n")[1].splitlines())
    header = next(line for line in lines if line.startswith("| documents |"))
    columns = [name.strip() for name in header.split("|")]
    next(lines)
    points = []
    for line in lines:
        if not line.startswith("|"):
            break
        row = dict(zip(columns, (cell.strip() for cell in line.split("|")), strict=True))
        points.append(
            Point(
                int(row["documents"].replace(",", "")),
                int(row["bits"]),
                float(row["p50 ms"]),
                float(row["overlap@10"]),
            )
        )
    return points


def short(documents: int) -> str:
    """3633 as 3.63k, 1000000 as 1M."""
    return f"{documents / 1e6:g}M" if documents >= 1_000_000 else f"{documents / 1000:.3g}k"


def axes(plot: Plot, sizes: Sequence[int]) -> list[str]:
    """Title, grid and tick labels of a plot."""
    right = plot.left + 270
    parts = [f'<text class="title" x="{plot.left}" y="48">{plot.title}</text>']
    for value, name in plot.ticks:
        y = plot.y(value)
        parts += [
            f'<line class="grid" x1="{plot.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text class="small" x="{plot.left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{name}</text>",
        ]
    for size in sizes:
        parts.append(
            f'<text class="small" x="{plot.x(size):.1f}" y="{BOTTOM + 18}" text-anchor="middle">'
            f"{short(size)}</text>"
        )
    middle = plot.left + 135
    parts.append(
        f'<text class="small" x="{middle}" y="{BOTTOM + 36}" text-anchor="middle">documents</text>'
    )
    return parts


def curve(plot: Plot, points: Sequence[Point]) -> list[str]:
    """The points of one number of bits, joined, and named at the first one."""
    bits = points[0].bits
    places = [(plot.x(point.documents), plot.y(plot.value(point))) for point in points]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="line bits{bits}" points="{joined}"/>']
    parts += [f'<circle class="dot{bits}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    x, y = places[0]
    offset = 20 if bits == 2 else -10  # 2 bits are below 4 bits in both plots
    parts.append(f'<text x="{x - 4:.1f}" y="{y + offset:.1f}">{bits} bits</text>')
    return parts


def picture(points: Sequence[Point]) -> str:
    """The whole picture as SVG."""
    sizes = sorted({point.documents for point in points})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>Latency and quality of a search by number of documents</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6"/>',
    ]
    for plot in PLOTS:
        parts += axes(plot, sizes)
        for bits in sorted({point.bits for point in points}):
            parts += curve(plot, [point for point in points if point.bits == bits])
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    arguments = parser.parse_args()
    made = picture(read_points(SOURCE.read_text(encoding="utf-8")))
    if not arguments.check:
        TARGET.write_text(made, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != made:
        raise SystemExit(f"{TARGET} is stale: run python docs/make_pictures.py")


if __name__ == "__main__":
    main()
