"""No file of this world crashes, hangs or bloats the indexer.

The long form, with files of 15 MiB: ``python -m tests.reading.hostile_run``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.reading import hostile_archives, hostile_pdfs
from tests.reading.hostile_archives import SECRET
from tests.reading.hostile_files import recipes, write
from tests.reading.limited_reading import read_limited

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
LARGE = 60_000
TAKEN = 5
"""Of so many files one is read; those that take long by design are left to the long form."""
SLOW = ("again", "attributes")


def test_files_made_to_harm_are_read_or_left_out_with_a_reason(tmp_path: Path) -> None:
    faults = {}
    for number, path in enumerate(write(tmp_path, 3, len(list(recipes(LARGE))) + 50, LARGE)):
        if number % TAKEN == 0 and not any(word in path.name for word in SLOW):
            fault = read_limited(path, SECRET).fault
            if fault:
                faults[path.name] = fault
        path.unlink()
    assert faults == {}


def test_the_runner_sees_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash, an endless loop, memory, an exception, a passage that says too much."""
    from mvdb.reading import formats
    from tests.reading import limited_reading

    path = tmp_path / "a.txt"
    path.write_text("x")
    assert read_limited(path).fault == ""
    assert "from outside" in read_limited(path, "x").fault
    monkeypatch.setattr(limited_reading, "SECONDS", 1)

    def read_by(reader: object) -> str:
        monkeypatch.setitem(formats._OF_TEXT, "txt", reader)
        return read_limited(path).fault

    def endless(_: str) -> list[object]:
        while True:
            pass

    assert "died: SIG" in read_by(endless)
    assert "MemoryError" in read_by(lambda _: [bytearray(2 << 30)])
    assert "ZeroDivisionError" in read_by(lambda _: [1 // 0])
    assert "died: SIGSEGV" in read_by(lambda _: __import__("ctypes").string_at(0))


@pytest.mark.parametrize("ending", [*hostile_archives.VALID, "pdf"])
def test_the_documents_that_are_damaged_are_whole_before(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    make = hostile_archives.VALID.get(ending)
    path.write_bytes(hostile_archives.packed(make[0]()) if make else hostile_pdfs.valid())
    assert read_limited(path).kind == "passages"
