"""How long do documents of any shape take to be read and cut, and how much memory?

    python -m bench.cutting                        # 10 MB of each shape
    python -m bench.cutting --megabytes 1 --only table headings

Each shape is read and cut in a process of its own. *s* is the time of its processor, *peak MB* its
greatest resident memory, interpreter and document included (about 60 MB), *characters/passage* the
mean length of the passages. Shapes need the extra ``cli``. MB are 10^6 bytes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.points import Points, parser
from bench.processes import call
from mvdb.reading import cut, read

_PROSE = "The quick brown fox jumps over the lazy dog near the river. "
_CODE = "def function(a, b):\n    total = a + b\n\n    return total\n\n\n"


def _repeated(unit: str, size: int) -> str:
    return unit * (size // len(unit.encode()) + 1)


def _of(unit: str) -> Callable[[int], str]:
    return lambda size: _repeated(unit, size)


def _nested(unit: str, text: str, depth: int) -> str:
    return "".join(f"{unit * level}{text}\n" for level in range(1, depth))


SHAPES: dict[str, tuple[str, Callable[[int], str]]] = {
    "one line": ("a.txt", _of(_PROSE)),
    "no blank line": ("a.txt", _of(_PROSE.strip() + "\n")),
    "short lines": ("a.txt", _of("abcd efg\n")),
    "short paragraphs": ("a.txt", _of("abcd efg\n\n")),
    "no sentence": ("a.txt", _of("word ")),
    "no space": ("a.txt", _of("漢字")),
    "marks": ("a.txt", _of("a" + "\u0301" * 9 + " ")),
    "prose": ("a.md", _of(_PROSE * 5 + "\n\n")),
    "headings": ("a.md", _of("# abcdef\n")),
    "underlined headings": ("a.md", _of("abcdef\n---\n")),
    "nested lists": ("a.md", _of(_nested("  ", "- item of a list", 30))),
    "nested quotes": ("a.md", _of(_nested("> ", "quoted text", 30))),
    "table": ("a.md", lambda size: "| a | b |\n|---|---|\n" + _repeated("| one | two |\n", size)),
    "fences": ("a.md", _of("```\ncode();\n```\n")),
    "tables": ("a.md", _of("| a | b |\n|---|---|\n| 1 | 2 |\n\n")),
    "sections of rst": ("a.rst", _of("abcde\n=====\n\n")),
    "one <pre>": ("a.html", lambda size: f"<pre>{_repeated(_PROSE.strip() + chr(10), size)}</pre>"),
    "open tags": ("a.html", lambda size: "<a " * 50_000),
    "page": ("a.html", _of(f"<h2>Part</h2><p>{_PROSE * 5}</p>")),
    "JSON line": (
        "a.json",
        lambda size: f'[{_repeated("""{"name": "a name", "n": 1}, """, size)}1]',
    ),
    "CSV": ("a.csv", _of("1234,some name,another value,2026-01-01\n")),
    "lines of C": ("a.c", _of("abcd efg;\n")),
    "Python": ("a.py", _of(_CODE)),
}
"""The name of a document, and its text of so many bytes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    described = parser(__doc__)
    described.add_argument("--megabytes", type=float, default=10, help="of each document")
    described.add_argument(
        "--only", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="SHAPE"
    )
    options = described.parse_args(arguments)
    points = Points(options.results)
    for shape in options.only:
        points.add("cutting", call(measure, shape=shape, size=int(options.megabytes * 1e6)))
    points.show()


def measure(shape: str, size: int) -> dict[str, Any]:
    """Reads and cuts a document of this shape."""
    name, made = SHAPES[shape]
    data = made(size).encode()
    start = time.process_time()
    passages = characters = 0
    for passage in cut(read(data, name=name).blocks):
        passages += 1
        characters += len(passage.text)
    spent = time.process_time() - start
    return {
        "shape": shape,
        "MB": len(data) / 1e6,
        "s": spent,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "passages": passages,
        "characters/passage": characters / max(passages, 1),
    }


if __name__ == "__main__":
    main()
