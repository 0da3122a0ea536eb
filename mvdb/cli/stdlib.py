"""The documentation that every Python brings along: the docstrings of its standard library.

Its source files are parsed, not imported."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from mvdb.cli.indexing.target import Record
from mvdb.cli.reading.cutting import cut
from mvdb.cli.reading.files import Unreadable, read_file
from mvdb.cli.reading.python_source import Docstring, blocks_of, docstrings

_FEWEST_WORDS = 8
_MOST_BYTES = 4 << 20
_LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
)


def stdlib_records() -> Iterator[Record]:
    """A record for each public module, class and function that says more than a few words.

    Long docstrings are cut to their first passage. An id is the full name: ``json.dumps``."""
    seen: set[str] = set()
    root = Path(sysconfig.get_path("stdlib"))
    for path in _modules(root):
        module = _module_name(path.relative_to(root))
        for docstring in _docstrings(path):
            name = ".".join((module, *docstring.name))
            if name not in seen and len(docstring.text.split()) > _FEWEST_WORDS:
                seen.add(name)
                yield _record(name, module, docstring)


def _modules(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name.isidentifier() and _is_public(name))
        for name in sorted(names):
            if name.endswith(".py") and (name == "__init__.py" or _is_public(name)):
                yield Path(folder, name)


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in _LEFT_OUT


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _docstrings(path: Path) -> list[Docstring]:
    try:
        found = list(docstrings(read_file(path, _MOST_BYTES).text))
    except (Unreadable, SyntaxError):
        return []
    return [one for one in found if not any(part.startswith("_") for part in one.name)]


def _record(name: str, module: str, docstring: Docstring) -> Record:
    text = next(cut(blocks_of(docstring))).text
    return Record(name, text, {"module": module, "line": docstring.line})
