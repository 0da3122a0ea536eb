"""Hostile files: values whose checksums fit, but whose content lies.

`reseal` opens the file with LMDB itself, changes bodies and seals them anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import lmdb
import numpy as np
import zstandard

from mvdb.segment import layout
from mvdb.storage import cleanmark, envelope
from mvdb.storage.format import ENVELOPE_HEADER, TABLES, Kind

Change = Callable[[str, bytes, Kind, bytes], bytes | None]
"""(table, key, kind, body) -> the new body, or None to leave it."""

EXTREMES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
EXTREMES_64 = (0, 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1)


def reseal(path: Path, change: Change) -> int:
    """Rewrites what `change` changes; how many values that were. Checksums of records in the
    directories are made to fit as well."""
    count = 0
    environment = lmdb.open(
        str(path), subdir=False, max_dbs=16, map_size=1 << 26, lock=False, sync=False
    )
    try:
        for table in TABLES:
            handle = environment.open_db(table.encode(), create=False)
            with environment.begin(write=True, db=handle) as txn:
                for key, value in list(txn.cursor(db=handle)):
                    kind = Kind(value[1])
                    body = change(table, key, kind, value[ENVELOPE_HEADER.size :])
                    if body is not None:
                        txn.put(key, envelope.seal(kind, key, body))
                        count += 1
    finally:
        environment.close()
    return count


def rehash(path: Path) -> None:
    """Writes the checksums of all records anew into the directories."""
    records: dict[bytes, dict[int, bytes]] = {}

    def collect(table: str, key: bytes, kind: Kind, body: bytes) -> None:
        if kind == Kind.RECORDS:
            records.setdefault(key[:-5], {})[int.from_bytes(key[-4:], "big")] = body

    reseal(path, collect)

    def fix(table: str, key: bytes, kind: Kind, body: bytes) -> bytes | None:
        if kind != Kind.DIRECTORY:
            return None
        directory = layout.unpack_directory(memoryview(body), "bomb")
        starts, chunks = directory.starts.astype(int), directory.chunks.astype(int)
        checksums = directory.checksums.copy()
        for index, data in records.get(key[:-5], {}).items():
            first, last = chunks[index], chunks[index + 1]
            size = len(data) // max(1, starts[last] - starts[first])
            for row in range(first, last):
                begin, end = starts[row] - starts[first], starts[row + 1] - starts[first]
                checksums[row] = envelope.checksum(data[begin * size : end * size])
        return layout.pack_directory(
            layout.Directory(
                directory.numbers,
                checksums,
                directory.starts,
                directory.chunks,
                directory.blocks,
                directory.n_fields,
            )
        )

    reseal(path, fix)


def mutate(path: Path, seed: int) -> None:
    """Changes one to three random bodies at random places, mostly where counts are."""
    rng = np.random.default_rng([seed, 20])
    bodies: list[tuple[str, bytes, Kind]] = []

    def collect(table: str, key: bytes, kind: Kind, body: bytes) -> None:
        bodies.append((table, key, kind))

    reseal(path, collect)
    kinds = sorted({kind for _, _, kind in bodies})
    kind = kinds[int(rng.integers(len(kinds)))]
    of_kind = [(table, key) for table, key, other in bodies if other == kind]
    chosen = {of_kind[int(i)] for i in rng.integers(len(of_kind), size=int(rng.integers(1, 4)))}

    def change(table: str, key: bytes, kind: Kind, body: bytes) -> bytes | None:
        return _mutated(body, rng) if (table, key) in chosen else None

    reseal(path, change)
    if kind == Kind.RECORDS:
        rehash(path)


def _mutated(body: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(body)
    for _ in range(int(rng.integers(1, 4))):
        span = len(data) if rng.random() < 0.4 else min(len(data), 64)
        at = int(rng.integers(span)) if span else 0
        kind = int(rng.integers(7))
        if kind == 0 and data:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            at = at // 4 * 4
            data[at : at + 4] = struct.pack("<I", int(rng.choice(EXTREMES)))[: len(data) - at]
        elif kind == 2:
            at = at // 4 * 4
            value = EXTREMES_64[int(rng.integers(len(EXTREMES_64)))]
            data[at : at + 8] = struct.pack("<Q", value)[: len(data) - at]
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data += rng.bytes(int(rng.integers(1, 40)))
        elif kind == 5:
            del data[at : at + int(rng.integers(1, 9))]
        else:
            noise = rng.bytes(int(rng.integers(1, 9)))
            data[at : at + len(noise)] = noise[: len(data) - at]
    return bytes(data)


def detonate(path: Path, seed: int) -> None:
    """The bomb of that number in `by_hand`."""
    reseal(path, list(by_hand().values())[seed])


def rot(path: Path, seed: int) -> None:
    """A bit flips while the file keeps its clean mark, as when the medium loses it."""
    rng = np.random.default_rng([seed, 21])
    with open(path, "r+b") as file:
        at = int(rng.integers(path.stat().st_size))
        if rng.random() < 0.5:
            at = at // 4096 * 4096 + int(rng.integers(160))
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes((byte ^ 1 << int(rng.integers(8)),)))
        file.flush()
        assert cleanmark.mark(file.fileno())


KINDS: dict[str, Callable[[Path, int], None]] = {"mutate": mutate, "bomb": detonate, "rot": rot}


# -- bombs made by hand ----------------------------------------------------------------------------


def replace_first(wanted: Kind, make: Callable[[bytes], bytes], part: int | None = None) -> Change:
    """Changes the first value of a kind (of the table `centroids`: of a part)."""
    done: list[bytes] = []

    def change(table: str, key: bytes, kind: Kind, body: bytes) -> bytes | None:
        if kind != wanted or done or (part is not None and key[4] != part):
            return None
        done.append(key)
        return make(body)

    return change


def named(key_wanted: bytes, make: Callable[[bytes], bytes]) -> Change:
    """Changes the value of table `meta` with a name."""

    def change(table: str, key: bytes, kind: Kind, body: bytes) -> bytes | None:
        return make(body) if table == "meta" and key == key_wanted else None

    return change


def u32(at: int, value: int) -> Callable[[bytes], bytes]:
    """Writes a number into a body."""
    return lambda body: body[:at] + struct.pack("<I", value) + body[at + 4 :]


def u64(at: int, value: int) -> Callable[[bytes], bytes]:
    """Writes a number into a body."""
    return lambda body: body[:at] + struct.pack("<Q", value) + body[at + 8 :]


def f64(at: int, value: float) -> Callable[[bytes], bytes]:
    """Writes a number into a body."""
    return lambda body: body[:at] + struct.pack("<d", value) + body[at + 8 :]


def floats(at: int, *values: float) -> Callable[[bytes], bytes]:
    """Writes float32 numbers into a body."""
    packed = struct.pack(f"<{len(values)}f", *values)
    return lambda body: body[:at] + packed + body[at + len(packed) :]


@cache
def zeros_frame(size: int) -> bytes:
    """A zstd frame of so many zero bytes, that says so."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj(size=size)
    step = bytes(1 << 20)
    parts = [compressor.compress(step) for _ in range(size >> 20)]
    return b"".join(parts) + compressor.flush()


def _block(stated: int, size: int) -> Callable[[bytes], bytes]:
    return lambda body: struct.pack("<I", stated) + zeros_frame(size)


_HEADER_OF_MANIFEST = 56
_BIG = 1 << 63
_NAN = float("nan")
_INF = float("inf")


def by_hand() -> dict[str, Change]:
    """Bombs for the trained specimen: name -> change."""
    first_segment = _HEADER_OF_MANIFEST
    bombs: dict[str, Change] = {
        "settings: dim 0": named(b"settings", u32(0, 0)),
        "settings: dim 4097": named(b"settings", u32(0, 4097)),
        "settings: dim 2^32-1": named(b"settings", u32(0, 0xFFFF_FFFF)),
        "settings: another dim": named(b"settings", u32(0, 17)),
        "settings: dim 1": named(b"settings", u32(0, 1)),
        "settings: bits 3": named(b"settings", u32(4, 3)),
        "settings: bits 2^31": named(b"settings", u32(4, 1 << 31)),
        "settings: empty": named(b"settings", lambda body: b""),
        "format: wrong magic": named(b"format", lambda body: b"x" + body[1:]),
        "format: empty": named(b"format", lambda body: b""),
        "format: version 2": named(b"format", u32(8, 2)),
        "manifest: empty": named(b"manifest", lambda body: b""),
        "manifest: 2^32-1 segments": named(b"manifest", u32(52, 0xFFFF_FFFF)),
        "manifest: no segments": named(b"manifest", lambda body: u32(52, 0)(body[:56])),
        "manifest: 2^63 ids": named(b"manifest", u64(24, _BIG)),
        "manifest: generation 99": named(b"manifest", u32(first_segment + 8, 99)),
        "manifest: segment 2^63": named(b"manifest", u64(first_segment, _BIG)),
        "manifest: 2^32-1 documents": named(b"manifest", u32(first_segment + 12, 0xFFFF_FFFF)),
        "manifest: 2^63 tokens": named(b"manifest", u64(first_segment + 20, _BIG)),
        "manifest: 2^63 deleted tokens": named(b"manifest", u64(first_segment + 28, _BIG)),
        "manifest: all deleted": named(
            b"manifest", lambda body: body[:72] + body[68:72] + body[76:]
        ),
        "manifest: NaN residual": named(b"manifest", f64(first_segment + 36, _NAN)),
        "manifest: infinite trained residual": named(b"manifest", f64(44, _INF)),
        "manifest: first 0": named(b"manifest", u64(first_segment + 44, 0)),
        "manifest: last 2^64-1": named(b"manifest", u64(first_segment + 52, (1 << 64) - 1)),
        "centroids: dim 0": replace_first(Kind.CENTROIDS, u32(0, 0), 0),
        "centroids: dim 4096": replace_first(Kind.CENTROIDS, u32(0, 4096), 0),
        "centroids: dim 15": replace_first(Kind.CENTROIDS, u32(0, 15), 0),
        "centroids: bits 0": replace_first(Kind.CENTROIDS, u32(4, 0), 0),
        "centroids: bits 16": replace_first(Kind.CENTROIDS, u32(4, 16), 0),
        "centroids: bits 8": replace_first(Kind.CENTROIDS, u32(4, 8), 0),
        "centroids: none": replace_first(Kind.CENTROIDS, u32(16, 0), 0),
        "centroids: 2^32-1": replace_first(Kind.CENTROIDS, u32(16, 0xFFFF_FFFF), 0),
        "centroids: one less": replace_first(
            Kind.CENTROIDS, lambda body: u32(16, struct.unpack_from("<I", body, 16)[0] - 1)(body), 0
        ),
        "centroids: no groups": replace_first(Kind.CENTROIDS, u32(20, 0), 0),
        "centroids: 2^31 groups": replace_first(Kind.CENTROIDS, u32(20, 1 << 31), 0),
        "centroids: short head": replace_first(Kind.CENTROIDS, lambda body: body[:8], 0),
        "centroids: rows cut": replace_first(Kind.CENTROIDS, lambda body: body[:-1], 1),
        "centroids: group starts descend": replace_first(Kind.CENTROIDS, u32(4, 0xFFFF_FFFF), 3),
        "centroids: groups start late": replace_first(Kind.CENTROIDS, u32(0, 1), 3),
        "centroids: NaN scale": replace_first(Kind.CENTROIDS, floats(8, _NAN), 4),
        "centroids: all scales NaN": replace_first(
            Kind.CENTROIDS, lambda body: struct.pack("<f", _NAN) * (len(body) // 4), 4
        ),
        "centroids: infinite scale": replace_first(Kind.CENTROIDS, floats(1020, _INF), 4),
        "centroids: scales descend": replace_first(Kind.CENTROIDS, floats(0, 9.0, 8.0), 4),
        "centroids: negative b scale": replace_first(Kind.CENTROIDS, floats(1024, -1.0), 4),
        "centroids: huge scale": replace_first(Kind.CENTROIDS, floats(2044, 3e38), 4),
        "directory: 2^32-1 documents": replace_first(Kind.DIRECTORY, u32(0, 0xFFFF_FFFF)),
        "directory: no documents": replace_first(Kind.DIRECTORY, u32(0, 0)),
        "directory: 2^32-1 chunks": replace_first(Kind.DIRECTORY, u32(4, 0xFFFF_FFFF)),
        "directory: no chunks": replace_first(Kind.DIRECTORY, u32(4, 0)),
        "directory: 2^32-1 blocks": replace_first(Kind.DIRECTORY, u32(8, 0xFFFF_FFFF)),
        "directory: 2^32-1 fields": replace_first(Kind.DIRECTORY, u32(12, 0xFFFF_FFFF)),
        "directory: no fields": replace_first(Kind.DIRECTORY, u32(12, 0)),
        "directory: numbers descend": replace_first(Kind.DIRECTORY, u64(16, (1 << 64) - 1)),
        "directory: starts": replace_first(Kind.DIRECTORY, _starts(0xFFFF_FFFF)),
        "directory: starts wrap": replace_first(Kind.DIRECTORY, _starts(0x8000_0000)),
        "directory: all tokens in one": replace_first(Kind.DIRECTORY, _starts(0)),
        "directory: chunks far": replace_first(Kind.DIRECTORY, _array(3, 1, 0xFFFF_FFFF)),
        "directory: chunks of nothing": replace_first(Kind.DIRECTORY, _array(3, 1, 0)),
        "directory: blocks far": replace_first(Kind.DIRECTORY, _array(4, 1, 0xFFFF_FFFF)),
        "codes: out of range": replace_first(Kind.CODES, lambda body: b"\xff" * len(body)),
        "codes: one out of range": replace_first(Kind.CODES, lambda b: b[:-2] + b"\xff\x7f"),
        "codes: short": replace_first(Kind.CODES, lambda body: body[:-1]),
        "codes: empty": replace_first(Kind.CODES, lambda body: b""),
        "codes: long": replace_first(Kind.CODES, lambda body: body * 2),
        "records: short": replace_first(Kind.RECORDS, lambda body: body[:-1]),
        "records: empty": replace_first(Kind.RECORDS, lambda body: b""),
        "records: long": replace_first(Kind.RECORDS, lambda body: body * 2),
        "ids: empty": replace_first(Kind.IDS, lambda body: b""),
        "ids: offsets far": replace_first(Kind.IDS, u32(4, 0xFFFF_FFFF)),
        "ids: offsets descend": replace_first(Kind.IDS, u32(8, 0)),
        "ids: no utf-8": replace_first(Kind.IDS, lambda body: body.replace(b"schl", b"\xff" * 4)),
        "id: number 2^63": replace_first(Kind.ID, u64(0, _BIG)),
        "id: number 0": replace_first(Kind.ID, u64(0, 0)),
        "id: empty": replace_first(Kind.ID, lambda body: b""),
        "documents: frame of 512 MiB": replace_first(Kind.DOCUMENTS, _block(1 << 29, 1 << 29)),
        "documents: frame of 2 GiB": replace_first(Kind.DOCUMENTS, _block(1 << 31, 1 << 31)),
        "documents: frame says more": replace_first(
            Kind.DOCUMENTS, lambda body: u32(0, struct.unpack_from("<I", body)[0] - 1)(body)
        ),
        "documents: lies of 512 MiB": replace_first(Kind.DOCUMENTS, _block(1000, 1 << 29)),
        "documents: no frame": replace_first(Kind.DOCUMENTS, lambda body: body[:4]),
        "documents: empty": replace_first(Kind.DOCUMENTS, lambda body: b""),
        "documents: unknown size": replace_first(Kind.DOCUMENTS, _without_size),
        "documents: lengths": replace_first(Kind.DOCUMENTS, _lengths(0x7FFF_FFFF)),
        "documents: all lengths": replace_first(Kind.DOCUMENTS, _lengths(0xFFFF_FFF0, every=True)),
        "tombstones: empty": replace_first(Kind.TOMBSTONES, lambda body: b""),
        "tombstones: all": replace_first(Kind.TOMBSTONES, lambda body: b"\xff" * len(body)),
        "fields: empty": replace_first(Kind.FIELDS, lambda body: b""),
    }
    for at in range(0, 28, 4):
        for value in (0, 0xFFFF_FFFF, 1 << 28):
            name = f"fields: {value} at {at}"
            bombs[name] = replace_first(Kind.FIELDS, u32(at, value))
    return bombs


def _starts(value: int) -> Callable[[bytes], bytes]:
    return _array(2, 1, value)


def _array(which: int, index: int, value: int) -> Callable[[bytes], bytes]:
    """Sets an entry of the directory's arrays: 2 starts, 3 chunks, 4 blocks."""

    def make(body: bytes) -> bytes:
        n, c, _, _ = struct.unpack_from("<IIII", body)
        at = 16 + 16 * n + (4 * (n + 1) if which > 2 else 0) + (4 * (c + 1) if which > 3 else 0)
        return u32(at + 4 * index, value)(body)

    return make


def _without_size(body: bytes) -> bytes:
    raw = zstandard.ZstdDecompressor().decompress(body[4:])
    return body[:4] + zstandard.ZstdCompressor(write_content_size=False).compress(raw)


def _lengths(value: int, *, every: bool = False) -> Callable[[bytes], bytes]:
    def make(body: bytes) -> bytes:
        raw = bytearray(zstandard.ZstdDecompressor().decompress(body[4:]))
        for at in range(0, 64 if every else 4, 4):
            raw[at : at + 4] = struct.pack("<I", value)
        return body[:4] + zstandard.ZstdCompressor().compress(bytes(raw))

    return make
