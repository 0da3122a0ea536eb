"""Measured points: one JSON object a line in a file that only grows, and tables for people."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from bench.tables import Row, markdown


class Points:
    """Appends each point to a file (None: to none) and keeps it for `show`."""

    def __init__(self, results: str | None) -> None:
        self._path = None if results is None else Path(results)
        self._shown: dict[str, list[Row]] = {}

    def add(self, kind: str, point: dict[str, Any]) -> None:
        """Writes ``{"kind": kind, "time": seconds since 1970, **point}`` as a line."""
        self._shown.setdefault(kind, []).append(point)
        if self._path is None:
            return
        line = json.dumps({"kind": kind, "time": round(time.time()), **point}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

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
