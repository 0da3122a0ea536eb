"""Writes files made to harm an indexer: `write(folder, seed, count)`.

Each recipe of the other modules is a file; what is left of `count` is drawn by the seed: random
bytes with every known ending, and documents damaged in random places."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mvdb.reading import formats
from tests.reading import hostile_archives, hostile_pdfs, hostile_texts
from tests.reading.hostile_texts import Named

LARGE = 15 << 20
"""Bytes that stand for "huge": just below the largest file that is indexed by default."""
ENDINGS = sorted({*formats._OF_TEXT, *formats._OF_BYTES, *formats._PLAIN, "bin", ""})


def recipes(large: int = LARGE) -> Iterator[Named]:
    """Every file that is made on purpose."""
    yield from (("pdf " + name, "pdf", content) for name, content in hostile_pdfs.pdf_bombs(large))
    yield from hostile_archives.archive_bombs(large)
    for of in (hostile_texts.markup, hostile_texts.marks, hostile_texts.code, hostile_texts.data):
        yield from of(large)
    yield from hostile_texts.mails(large)
    yield from hostile_texts.lines(large)
    yield from hostile_texts.encodings()


def drawn(random: Random) -> Named:
    """A file that chance makes."""
    what = random.randrange(4)
    if what == 0:
        return "random", random.choice(ENDINGS), random.randbytes(random.choice((1, 100, 10_000)))
    if what == 1:
        start = random.choice((b"%PDF-1.4\n", b"PK\3\4", b"<html>", b"{", b"---\n", b"\xff\xfe"))
        return "begun", random.choice(ENDINGS), start + random.randbytes(3_000)
    ending = random.choice((*hostile_archives.VALID, "pdf", "pdf"))
    if ending == "pdf":
        content = hostile_archives.damaged(hostile_pdfs.valid(), random)
        return "damaged", ending, content
    if what == 2:
        return "rebuilt", ending, hostile_archives.rebuilt(ending, random)
    whole = hostile_archives.packed(hostile_archives.VALID[ending][0]())
    return "damaged", ending, hostile_archives.damaged(whole, random)


def write(folder: Path, seed: int, count: int, large: int = LARGE) -> Iterator[Path]:
    """Writes `count` files, one each time it is asked, so that a caller may remove it again: those
    made on purpose, in an order that the seed gives, then as many again as are drawn."""
    random = Random(seed)
    secret = hostile_archives.SECRET
    (folder / hostile_archives.SECRET_FILE).write_text(secret)
    made = recipes(large)
    for number in range(count):
        name, ending, content = next(made, None) or drawn(random)
        safe = "".join(mark if mark.isalnum() else "_" for mark in name)
        path = folder / (f"{number:05}_{safe}" + (f".{ending}" if ending else ""))
        path.write_bytes(content)
        yield path


if __name__ == "__main__":
    for one in write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        print(one)
