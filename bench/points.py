"""Measured points: one JSON object a line in a file that only grows, and tables for people."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A heading and a Markdown table; columns are the keys of the rows in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join([f"### {title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


class Points:
    """Appends each point to a file (None: to none) and keeps it for `show`."""

    def __init__(self, results: str | None) -> None:
        self._path = None if results is None else Path(results)
        self._shown: dict[str, list[Row]] = {}

    def add(self, kind: str, *points: Row) -> None:
        """Writes ``{"kind": kind, "time": seconds since 1970, **point}``, a line for each point."""
        self._shown.setdefault(kind, []).extend(points)
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            for point in points:
                line = {"kind": kind, "time": round(time.time()), **point}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def show(self) -> None:
        """Prints a table of each kind added since the last call."""
        for kind, rows in self._shown.items():
            print(markdown(kind, rows), flush=True)
        self._shown = {}


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of command lines that knows ``--results FILE`` and ``--folder FOLDER``."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--results", metavar="FILE", help="append a JSON line for each point")
    made.add_argument("--folder", help="where to make databases (default: a temporary folder)")
    return made
