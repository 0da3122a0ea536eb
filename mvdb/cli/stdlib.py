"""The docstrings of Python's standard library, whose files are parsed, not imported."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mvdb.cli.indexing.target import Record
from mvdb.reading import Unreadable, cut
from mvdb.reading.decoding import decode
from mvdb.reading.files import read_file
from mvdb.reading.python_source import blocks_of, docstrings

_FEWEST_WORDS = 8
_MOST_BYTES = 4 << 20
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}


def stdlib_records() -> Iterator[Record]:
    """A record for each public module, class and function that says more than a few words.

    Long docstrings are cut to their first passage. An id is the full name: ``json.dumps``."""
    seen: set[str] = set()
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names = path.relative_to(root).parts
        if any(map(_is_private, names)) or not all(part.isidentifier() for part in parts[:-1]):
            continue
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        with suppress(Unreadable, SyntaxError):
            for docstring in docstrings(decode(read_file(path, _MOST_BYTES)).text):
                name = ".".join((module, *docstring.name))
                private = any(part.startswith("_") for part in docstring.name)
                few = len(docstring.text.split()) <= _FEWEST_WORDS
                if name not in seen and not private and not few:
                    seen.add(name)
                    text = next(cut(blocks_of(docstring))).text
                    yield Record(name, text, {"module": module, "line": docstring.line})


def _is_private(name: str) -> bool:
    return (name.startswith(("_", ".")) and name != "__init__.py") or name in _LEFT_OUT
