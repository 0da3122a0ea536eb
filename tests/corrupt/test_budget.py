"""P6: what a small file can make a call do is bounded, in all and not only value by value.

120 KiB once made get() take 4 GiB (metadata that unpacked to a gigabyte of brackets, within the
limit of bytes), 7 MiB a search of 4 GiB and 12 MiB an open that did not return (one segment listed
thousands of times), 24 KiB a verify() of 1.6 s. Each file here is made with checksums that fit and
used in a process of its own, whose memory and time are watched.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

import mvdb
from mvdb.segment.layout import Part
from mvdb.storage.format import Kind
from tests.corrupt.bombs import named, reseal
from tests.corrupt.watching import watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEMORY = 64 << 20
SECONDS = 2.0
"""For files below a megabyte or two; the promise is 10 s for each MiB begun."""
NONE = 0xFFFFFFFF
MIB = 1 << 20

HEAD = struct.Struct("<QQQQQIdI")
ENTRY = struct.Struct("<QIIIQQdQQ")


def use(path: Path, *, memory: int = MEMORY, seconds: float = SECONDS) -> str:
    """Does everything with the file, each call within the budget; what was refused."""
    size = path.stat().st_size
    watched = watch("everything", path)
    print(size >> 10, "KiB", watched)
    assert watched.used <= memory, f"{watched.used >> 20} MiB for a file of {size} bytes"
    assert watched.longest <= max(seconds, 10 * size / MIB), watched
    return watched.output


def make(path: Path, count: int = 1, **arguments: object) -> None:
    with mvdb.open(path, dim=1, bits=16, background=False) as db:
        texts = [f"text {i}" for i in range(count)]
        db.insert(list(range(count)), np.ones((count, 1, 1), np.float32), texts=texts)


def packed(lengths: list[int], body: bytes, repeat: int = 1) -> bytes:
    """A block of documents of these lengths whose bytes are `body`, so many times."""
    table = np.array(lengths, "<u4").tobytes()
    size = len(table) + len(body) * repeat
    compressor = zstandard.ZstdCompressor(level=3).compressobj(size=size)
    parts = [compressor.compress(table)]
    parts += [compressor.compress(body) for _ in range(repeat)]
    return struct.pack("<I", size) + b"".join([*parts, compressor.flush()])


def replace(path: Path, part: Part, make_body: Callable[[bytes], bytes]) -> None:
    assert reseal(
        path,
        lambda table, key, kind, body: (
            make_body(body) if table == "segments" and key[8] == part else None
        ),
    )


JSON_BOMBS = {
    "a gigabyte of brackets": (b"[" * MIB, 1023),
    "a gigabyte of empty lists": (b"[]," * (MIB // 3), 1023),
    "spaces": (b"{" + b" " * (8 * MIB) + b"}", 1),
    "16 MiB of lists": (b'{"a":[' + b"[]," * (5 * MIB) + b"[]]}", 1),
    "16 MiB of numbers": (b'{"a":[' + b"0," * (7 * MIB) + b"0]}", 1),
    "strings that hide lists": (
        b'{"a":["' + b'\\\\","\\",' * 10 + b'",' + b"[]," * (5 * MIB) + b"[]]}",
        1,
    ),
    "deep": (b'{"a":' * 100_000 + b"0" + b"}" * 100_000, 1),
    "a long number": (b'{"a":' + b"1" * 10_000_000 + b"}", 1),
    "not UTF-8": (b'{"a":"\xff"}', 1),
    "infinite": (b'{"a":Infinity}', 1),
}


@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_metadata_that_unpacks_to_very_much(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "a.mvdb"
    make(path)
    body, repeat = JSON_BOMBS[bomb]
    replace(path, Part.DOCUMENTS, lambda _: packed([NONE, len(body) * repeat], body, repeat))
    said = use(path)
    assert "CorruptionError" in said or bomb == "spaces"


def test_a_small_document_beside_a_large_one(tmp_path: Path) -> None:
    """Documents that are large lie alone: to read one never means to unpack another."""
    path = tmp_path / "a.mvdb"
    make(path, 2)
    zeros = bytes(MIB)
    replace(path, Part.DOCUMENTS, lambda _: packed([0, NONE, 1000 * MIB, NONE], zeros, 1000))
    assert "CorruptionError" in use(path)


def test_a_large_text_is_verified_in_pieces(tmp_path: Path) -> None:
    """It is legitimate, and what get() returns is the caller's own."""
    path = tmp_path / "a.mvdb"
    make(path)
    replace(path, Part.DOCUMENTS, lambda _: packed([1000 * MIB, NONE], b"\x61" * MIB, 1000))
    watched = watch("verify", path)
    assert watched.output == "()"
    assert watched.used <= MEMORY
    assert watched.seconds <= SECONDS
    with mvdb.open(path, readonly=True) as db:
        document = db.get(0)[0]
        assert document is not None
        assert document.text is not None
        assert len(document.text) == 1000 * MIB
        assert document.text[-5:] == "aaaaa"


@pytest.mark.parametrize("count", [100, 400])
def test_many_documents_that_unpack_to_much_each(tmp_path: Path, count: int) -> None:
    """Each one within the limits of a document: a million values in a kilobyte of file."""
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=1, bits=16, background=False) as db:
        for part in range(2):
            names = list(range(part * count, (part + 1) * count))
            texts = ["x" * 40_000] * count  # one in a block
            db.insert(names, np.ones((count, 1, 1), np.float32), texts=texts)
    body = b'{"a":[' + b"0," * 900_000 + b"0]}"
    replace(path, Part.DOCUMENTS, lambda _: packed([NONE, len(body)], body))
    assert "values for each byte" in use(path, memory=2 * MEMORY, seconds=6.0)


def listed(path: Path, count: int, **changes: int) -> None:
    """Lists the one segment `count` times."""

    def change(body: bytes) -> bytes:
        head = list(HEAD.unpack_from(body))
        one = list(ENTRY.unpack_from(body, HEAD.size))
        span = one[2]
        head[1], head[2], head[3], head[7] = 1 << 40, 1 << 62, span * count, count
        rows = []
        for i in range(count):
            one[0] += changes.get("step", 0)
            rows.append(ENTRY.pack(*one[:7], 1 + i * span, (i + 1) * span))
        return HEAD.pack(*head) + b"".join(rows)

    assert reseal(path, named(b"manifest", change))


@pytest.mark.parametrize("step", [0, 1], ids=["the same", "others"])
@pytest.mark.parametrize("count", [2, 4000, 200_000])
def test_a_segment_listed_again_and_again(tmp_path: Path, count: int, step: int) -> None:
    path = tmp_path / "a.mvdb"
    make(path, 10_000)
    listed(path, count, step=step)
    assert "CorruptionError" in use(path)


def test_a_column_that_many_fields_share(tmp_path: Path) -> None:
    """verify() once read it for each of them."""
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=1, bits=16, background=False) as db:
        count = 2000
        metadata = [
            {f"f{i:04}": i % 3 for i in range(500)} if n == 0 else {"a": n} for n in range(count)
        ]
        db.insert(list(range(count)), np.ones((count, 1, 1), np.float32), metadata=metadata)
    with mvdb.open(path, readonly=True) as db:
        assert db.verify().ok

    def share(body: bytes) -> bytes:
        if body[:4] != b"MVMC":
            return body
        paths, entries = struct.unpack_from("<II", body, 16)
        data = bytearray(body)
        first = 24 + 8 * (paths + 1)
        column = data[first + 4 + 20 * 1 : first + 8 + 20 * 1]
        for at in range(first, first + 20 * entries, 20):
            if data[at + 4 : at + 8] != bytes(4):
                data[at + 4 : at + 8] = column
        return bytes(data)

    replace(path, Part.FIELDS, share)
    watched = watch("verify", path)
    assert "columns are not in order" in watched.output
    assert watched.used <= MEMORY
    assert watched.seconds <= SECONDS


def test_tombstones_of_very_many_documents(tmp_path: Path) -> None:
    """The bits are counted where they lie when a file is opened."""
    path = tmp_path / "a.mvdb"
    make(path, 8)
    with mvdb.open(path, background=False) as db:
        db.delete(0)
    documents = 40 * MIB

    def more(body: bytes) -> bytes:
        head, one = list(HEAD.unpack_from(body)), list(ENTRY.unpack_from(body, HEAD.size))
        head[1], head[2], head[3] = 10, 1 << 40, 1
        one[2], one[3], one[4], one[5] = documents, documents - 1, documents, documents - 1
        one[8] = one[7] + documents - 1
        return HEAD.pack(*head) + ENTRY.pack(*one)

    reseal(path, named(b"manifest", more))
    reseal(
        path,
        lambda table, key, kind, body: (
            b"\xfe" + b"\xff" * (documents // 8 - 1) if kind == Kind.TOMBSTONES else None
        ),
    )
    assert "CorruptionError" in use(path)
