"""Jupyter notebooks: the text and the code of their cells, not what they put out.

Line numbers count the lines of the cells, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from mvdb.reading.blocks import Block
from mvdb.reading.markdown import read_markdown
from mvdb.reading.python_source import read_python
from mvdb.reading.unreadable import Unreadable, told


def read_notebook(text: str) -> Iterator[Block]:
    """Blocks of a notebook; below its latest heading stands the code that follows it."""
    trail: tuple[str, ...] = ()
    line = 0
    for kind, source in _cells(text):
        for block in read_markdown(source) if kind == "markdown" else read_python(source):
            if kind == "markdown":
                trail = block.trail
            own = trail if kind == "markdown" else (*trail, *block.trail)
            yield replace(block, line=block.line + line, end_line=block.end_line + line, trail=own)
        line += source.count("\n") + 1


def _cells(text: str) -> Iterator[tuple[str, str]]:
    """Kind and source of the cells with text or code."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a notebook: {told(error)}", "damaged") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("not a notebook of version 4: it has no cells", "damaged")
    for cell in cells:
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if isinstance(source, str):  # JSON may have halves of pairs of UTF-16
            source = source.encode("utf-8", "replace").decode()
        if isinstance(source, str) and cell.get("cell_type") in ("markdown", "code"):
            yield cell["cell_type"], source
