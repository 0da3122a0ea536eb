"""docs/architecture.md leads a stranger to the right file: rooms are complete, and each function or
class stands in a file that is named beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.docs.test_readme import DOCS, ROOT

TEXT = (DOCS / "architecture.md").read_text(encoding="utf-8")
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"(?:mvdb|csrc)/[\w/]+\.[pych]+")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)?")


def passages() -> Iterator[tuple[str, list[str], list[str]]]:
    """First line, files and names of each table row and of each section below "Where to find"."""
    ways, _, places = TEXT.partition("\n## Where to find\n")
    rows = [line for line in ways.splitlines() if re.match(r"\| \d+ ", line)]
    for passage in [*rows, *re.split(r"^### ", places, flags=re.MULTILINE)[1:]]:
        codes = _CODE.findall(passage)
        files = [code for code in codes if _FILE.fullmatch(code)]
        names = [code for code in codes if _NAME.fullmatch(code)]
        yield passage.splitlines()[0], files, names


def defines(source: str, name: str) -> bool:
    """Whether a source file defines a function, class, method or field."""
    owner, _, member = name.rpartition(".")
    if owner:
        return defines(source, owner) and defines(source, member)
    found = re.search(rf"^\s*(?:def|class) {name}\b|^    {name}: ", source, re.MULTILINE)
    in_c = re.search(rf"^[a-zA-Z].*\b{name}\(|^typedef struct {name} ", source, re.MULTILINE)
    return found is not None or in_c is not None


ARGUMENTS = {"candidates", "nprobe", "memory"}
"""Arguments of calls that the text names in passing."""


@pytest.mark.parametrize(
    ("files", "names"), [row[1:] for row in passages()], ids=[row[0] for row in passages()]
)
def test_names_are_defined_in_the_files_beside_them(files: list[str], names: list[str]) -> None:
    assert files
    sources = [(ROOT / file).read_text(encoding="utf-8") for file in files]
    for name in names:
        known = name in ARGUMENTS or any(defines(source, name) for source in sources)
        assert known, f"{name} is in none of {files}"


def test_every_room_is_described() -> None:
    rooms = [path.parent.name for path in (ROOT / "mvdb").glob("*/__init__.py")]
    assert rooms
    for room in rooms:
        assert f"| `mvdb/{room}/` |" in TEXT or f"`mvdb/{room}/`, " in TEXT, room
    layers = [path.name for path in (ROOT / "csrc").iterdir() if path.is_dir()]
    diagram = TEXT.split("## Rooms of the C core, and who may call whom")[1].split("```")[1]
    assert set(re.findall(r"^\w+", diagram, re.MULTILINE)) - {"text"} == set(layers) - {"test"}
