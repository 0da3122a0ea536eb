"""Draws what was measured: from files of points (``--results`` of the other modules) to images.

    python -m bench.plots points.jsonl                     # into docs/images
    python -m bench.plots points.jsonl --rivals rivals.json --folder /tmp/images

Of points about the same thing the last one counts. An image is drawn when there are points for it:

| image | kinds of points | from |
|---|---|---|
| scale | scale | `bench.scale` |
| build | build | `bench.scale` |
| settings | nprobe, candidates; rivals | `bench.curves` |
| bits | bits | `bench.curves` |
| cold | cold, evicted or limited | `bench.cold` |
| prefetch | prefetch | `bench.curves --prefetch` |
| growth | growth | `bench.growth` |
| concurrency | concurrency | `bench.concurrency` |

``--rivals`` names a JSON file with a list of ``{"name": ..., "p50 ms": ..., "overlap@10": ...,
"nDCG@10": ...}``, measured on the collection of the settings. Needs the extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.corpora import REPOSITORY
from bench.drawing import (
    BITS_COLOURS,
    COLOURS,
    LINES,
    LOOK,
    PANEL,
    Point,
    Points,
    grouped,
    label,
    line,
    log,
    log_ms,
    panels,
    save,
    short,
)

# ---- images ----


def scale(points: Points) -> Figure | None:
    """Latency and memory against size."""
    measured = points.of("scale")
    if not measured:
        return None
    figure, (latency, memory) = panels(2)
    for (bits,), group in grouped(measured, "bits").items():
        style = {"color": BITS_COLOURS.get(bits)}
        line(latency, group, "documents", "p50 ms", label=f"{bits} bits, p50", **style)
        line(latency, group, "documents", "p95 ms", label="p95", ls="--", **style)
        line(memory, group, "documents", "anonymous MB", label=f"{bits} bits", **style)
    sizes = sorted({point["documents"] for point in measured})
    log_ms(latency)
    for axes in (latency, memory):
        log(axes, "x", sizes, [short(size) for size in sizes])
    memory.set_ylim(bottom=0)
    label(latency, "documents", "ms", "latency, warm, one thread")
    label(memory, "documents", "MB", "memory of a searching process")
    return figure


def build(points: Points) -> Figure | None:
    """Seconds of building, by stage."""
    measured = points.of("build")
    if not measured:
        return None
    measured.sort(key=lambda point: (point["documents"], point["bits"]))
    figure, (axes,) = panels(1)
    figure.set_size_inches(2 * PANEL[0], 1 + 0.28 * len(measured))
    names = [f"{short(p['documents'])}, {p['bits']} bits" for p in measured]
    stages = dict.fromkeys(k for p in measured for k in p if k.endswith(" s") and "cpu" not in k)
    stages.pop("making input s", None)
    before = [0.0] * len(measured)
    for stage, colour in zip(stages, COLOURS, strict=False):
        costs = [1e6 * p.get(stage, 0.0) / p["tokens"] for p in measured]
        axes.barh(names, costs, left=before, color=colour, label=stage.removesuffix(" s"))
        before = [sum(pair) for pair in zip(before, costs, strict=True)]
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    label(axes, "seconds per million tokens", "documents")
    axes.legend(ncols=len(stages), loc="lower left", bbox_to_anchor=(0, 1))
    return figure


SWEEPS = ("nprobe", "candidates")


def settings(points: Points, rivals: Sequence[Point]) -> Figure | None:
    """Quality against nprobe, candidates, and against the time they take."""
    both = [point for kind in SWEEPS for point in points.of(kind)]
    if not both:
        return None
    qualities = [q for q in ("overlap@10", "nDCG@10") if any(q in point for point in both)]
    figure, all_axes = panels(3, len(qualities))
    for row, quality in enumerate(qualities):
        axes = all_axes[3 * row : 3 * row + 3]
        for number, (what, group) in enumerate(grouped(both, "size", "bits").items()):
            name = f"{what[0]}, {what[1]} bits"
            for at, kind in enumerate(SWEEPS):
                _sweep(axes[at], axes[2], group, kind, quality, name, COLOURS[number % 8])
        for number, rival in enumerate(rivals):
            if rival.get(quality) is not None:
                marker = "sD^vP*X"[number % 7]
                where = (rival["p50 ms"], rival[quality])
                axes[2].plot(*where, marker, color="#222222", label=rival["name"])
        for at, kind in enumerate(SWEEPS):
            label(axes[at], kind, quality)
        log_ms(axes[2], "x")
        label(axes[2], "p50, ms", quality)
    return figure


def _sweep(
    axes: Axes, times: Axes, group: Sequence[Point], kind: str, quality: str, name: str, colour: str
) -> None:
    """One setting varied: against the setting, and against time. Hollow: searches not all
    of which took lists. A line of dashes and a circle: the default."""
    mine = [point for point in group if point["kind"] == kind]
    varied = [point for point in mine if point[kind] is not None]
    values = sorted({point[kind] for point in varied})
    line(axes, varied, kind, quality, color=colour, label=name)
    without = [p for p in varied if kind == "nprobe" and not _only_lists(p)]
    line(axes, without, kind, quality, color=colour, ls="none", mfc="white", zorder=3)
    log(axes, "x", values, [str(value) for value in values])
    if any(point.get("nDCG@10") is not None for point in mine) and quality == "nDCG@10":
        axes.axhline(mine[-1]["exact nDCG@10"], color=colour, lw=0.8, ls=":")
    style = {"color": colour, "ls": LINES[SWEEPS.index(kind)]}
    used = [p for p in varied if p not in without]
    line(times, used, "p50 ms", quality, order=kind, label=f"{name}, {kind}", **style)
    for point in mine:
        if point[kind] is None:
            axes.axhline(point[quality], color=colour, lw=0.8, ls="--")
            times.plot(point["p50 ms"], point[quality], "o", ms=8, mfc="none", color=colour)


def _only_lists(point: Point) -> bool:
    return bool(point.get("plan", "lists") == "lists" and point.get("plan share", 1) == 1)


def bits(points: Points) -> Figure | None:
    """What bytes buy."""
    measured = points.of("bits")
    if not measured:
        return None
    qualities = [q for q in ("overlap@10", "nDCG@10") if any(q in point for point in measured)]
    figure, all_axes = panels(len(qualities))
    for axes, quality in zip(all_axes, qualities, strict=True):
        for number, ((name,), group) in enumerate(grouped(measured, "collection").items()):
            line(axes, group, "B/token", quality, color=COLOURS[number], label=name)
            for point in group:
                text = f"{point['bits']} bit" + "s" * (point["bits"] > 1)
                where = (point["B/token"], point[quality])
                axes.annotate(text, where, (5, -10), textcoords="offset points")
            exact = group[0].get(f"exact {quality}")
            if exact is not None:
                axes.axhline(exact, color=COLOURS[number], lw=0.8, ls=":", label="original vectors")
        axes.set_xlim(left=0)
        axes.margins(y=0.15)
        label(axes, "file bytes per token", quality)
    return figure


def cold(points: Points, database: str | None) -> Figure | None:
    """Latency with nothing of the file in memory, and with a share of it: by a limit where that was
    measured, else by eviction."""
    wanted = [p for kind in ("cold", "evicted", "limited") for p in points.of(kind)]
    if not wanted:
        return None
    database = database or max(wanted, key=lambda p: float(p["MB"]))["database"]
    wanted = [p for p in wanted if p["database"] == database]
    shares = [p for p in wanted if p["kind"] != "cold" and p.get("p50 ms") is not None]
    limited = [p for p in shares if p["kind"] == "limited"] or shares
    figure, axes = panels(2 if limited else 1)
    _at_once(axes[0], [p for p in wanted if p["kind"] == "cold"])
    label(axes[0], "prefetching", "ms", f"{database}: cold")
    if limited:
        _limited(axes[1], limited)
    return figure


def _at_once(bars: Axes, points: Sequence[Point]) -> None:
    """Bars of warm and cold latencies for each way of prefetching."""
    names = [point["prefetch"] for point in points]
    for number, column in enumerate(("warm p50 ms", "cold p50 ms", "cold p95 ms")):
        where = [i + 0.26 * (number - 1) for i in range(len(names))]
        heights = [point[column] for point in points]
        bars.bar(where, heights, 0.24, color=COLOURS[number], label=column.removesuffix(" ms"))
    bounds = [(i, p["bound ms"]) for i, p in enumerate(points) if p.get("bound ms") is not None]
    for i, bound in bounds:
        name = "bound" if i == bounds[0][0] else None
        bars.plot([i - 0.4, i + 0.4], [bound, bound], color="#222222", lw=1, ls=":", label=name)
    bars.set_xticks(range(len(names)), names)
    log_ms(bars)


def _limited(lines: Axes, points: Sequence[Point]) -> None:
    """Lines of latency against the share of the file that fits into memory."""
    kinds = sorted({point.get("allowance MB") == 0 for point in points})
    for number, ((mode,), group) in enumerate(grouped(points, "prefetch").items()):
        for alone in kinds:
            shown = [p for p in group if (p.get("allowance MB") == 0) == alone]
            style: Point = {"color": COLOURS[number], "ls": LINES[alone]}
            line(lines, shown, "share", "p50 ms", label=None if alone else mode, **style)
    if True in kinds:
        lines.plot([], [], color=COLOURS[4], ls=LINES[1], label="nothing for the process itself")
    shares = sorted({point["share"] for point in points})
    log(lines, "x", shares, [f"{share:.0%}" for share in shares])
    lines.invert_xaxis()
    log_ms(lines)
    label(lines, "share of the file in memory at most", "p50, ms", "limited memory")


def prefetch(points: Points) -> Figure | None:
    """How much of what is needed can be told after a share of the probes."""
    measured = [
        {**point, "wasted": point["wasted_bytes"] / max(1, point["bytes_read"])}
        for point in points.of("prefetch")
    ]
    if not measured:
        return None
    figure, (hits, waste) = panels(2)
    for number, (what, group) in enumerate(grouped(measured, "size", "bits").items()):
        style = {"color": COLOURS[number % 8], "label": f"{what[0]}, {what[1]} bits"}
        line(hits, group, "share of probes", "prefetch_hit_rate", **style)
        line(waste, group, "share of probes", "wasted", **style)
    label(hits, "share of probes done", "hit rate", "ranges asked for before they were needed")
    label(waste, "share of probes done", "wasted bytes / bytes read", "asked for in vain")
    for axes in (hits, waste):
        axes.set_ylim(bottom=0)
    return figure


def growth(points: Points) -> Figure | None:
    """A database that outgrew its training, beside fresh ones."""
    measured = [{**p, "times": int(p["size"].lstrip("x"))} for p in points.of("growth")]
    if not measured:
        return None
    figure, both = panels(2)
    for number, ((n_bits,), group) in enumerate(grouped(measured, "bits").items()):
        for axes, column in zip(both, ("overlap@10", "p50 ms"), strict=True):
            for (how,), points_of in grouped(group, "how").items():
                colour = COLOURS[("grown", "fresh", "optimised").index(how)]
                style: Point = {
                    "color": colour,
                    "ls": LINES[number % 4],
                    "label": f"{how}, {n_bits} bits",
                }
                if how == "optimised":
                    style.update(ls="none", ms=7, mfc="none" if number else colour)
                line(axes, points_of, "times", column, **style)
    times = sorted({point["times"] for point in measured})
    for axes, name in zip(both, ("overlap@10", "p50, ms"), strict=True):
        log(axes, "x", times, [f"x{n}" for n in times])
        axes.set(xlabel="documents, of those trained on", ylabel=name)
    both[1].legend()
    both[1].set_ylim(bottom=0)
    return figure


def concurrency(points: Points) -> Figure | None:
    """Latency while something else goes on."""
    measured = [p for p in points.of("concurrency") if p.get("ratio") is not None]
    if not measured:
        return None
    figure, (axes,) = panels(1)
    figure.set_size_inches(2 * PANEL[0], PANEL[1])
    names = [f"{p['phase']}\n{p['bits']} bits" for p in measured]
    for number, column in enumerate(("ratio", "p95 ratio")):
        where = [i + 0.3 * (number - 0.5) for i in range(len(names))]
        heights = [point[column] for point in measured]
        axes.bar(where, heights, 0.28, color=COLOURS[number], label=("p50", "p95")[number])
    axes.axhline(1, color="#222222", lw=0.8)
    axes.set_xticks(range(len(names)), names)
    label(axes, "", "latency, of that of an idle database")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "docs" / "images")
    parser.add_argument("--rivals", type=Path, help="JSON file of other engines' figures")
    parser.add_argument("--database", help="name of the file shown cold (default: the largest)")
    options = parser.parse_args(arguments)
    points = Points(options.results)
    rivals = json.loads(options.rivals.read_text(encoding="utf-8")) if options.rivals else []
    images: dict[str, Callable[[], Figure | None]] = {
        "scale": lambda: scale(points),
        "build": lambda: build(points),
        "settings": lambda: settings(points, rivals),
        "bits": lambda: bits(points),
        "cold": lambda: cold(points, options.database),
        "prefetch": lambda: prefetch(points),
        "growth": lambda: growth(points),
        "concurrency": lambda: concurrency(points),
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(LOOK):
        for name, draw in images.items():
            figure = draw()
            if figure is not None:
                path = options.folder / f"{name}.png"
                save(figure, path)
                print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
