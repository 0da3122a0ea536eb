"""Tables of results: Markdown for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
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


class Report:
    """Tables, printed as they are added; `save` writes all of them to a file."""

    def __init__(self) -> None:
        self._tables: dict[str, list[Row]] = {}

    def add(self, title: str, rows: Sequence[Row]) -> None:
        """Prints a table and keeps it under its title."""
        self._tables[title] = list(rows)
        print(markdown(title, rows), flush=True)

    def save(self, path: str | None) -> None:
        """Writes ``{title: [row, ...]}`` as JSON; nothing when `path` is None."""
        if path is not None:
            text = json.dumps(self._tables, indent=1, ensure_ascii=False)
            Path(path).write_text(text + "\n", encoding="utf-8")


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of command lines that knows ``--json FILE``."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", metavar="FILE", help="write the tables there as well")
    return made
