"""The files that are damaged: small, with everything in them that a large one has."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import mvdb
from mvdb.limits import Limits
from tests.support.model import make_entry
from tests.support.opening import opened

DIM = 16
MAX_TOKENS = 60
NAMES = ("trained", "untrained", "float16", "listed", "collections")
PLAIN = Limits(train_documents=10_000, extended_at_once=0, chunk_bytes=12_000)
LISTED = replace(
    PLAIN,
    train_documents=50,
    listed_tokens=1000,
    cluster_documents=4,
    extent_bytes=400,
    growth=1.5,
)
TRAINED = replace(PLAIN, train_documents=80)
LIMITS = {"trained": TRAINED, "listed": LISTED, "collections": TRAINED}
"""Thresholds under which such a file has segments with lists and an order, and centroids that were
extended."""


@dataclass(frozen=True)
class Specimen:
    """An intact file, and the same one as it was one, two and three commits earlier (for stale
    pages)."""

    name: str
    intact: bytes
    older: tuple[bytes, ...]
    dim: int = DIM


def make(name: str, folder: Path) -> Specimen:
    """`trained` (quantised, several segments and chunks, tombstones), `untrained` (float16 for the
    time being), `float16` (bits=16), `listed` (as `trained`, with lists), or `collections` (most
    documents are in two collections, under the same ids)."""
    path = folder / f"{name}.mvdb"
    bits = 16 if name == "float16" else 4
    older: list[bytes] = []
    limits = LIMITS.get(name, PLAIN)
    for part in range(4):
        with opened(path, limits, dim=DIM, bits=bits, background=False) as db:
            for write in (_insert, _replace, _single):
                if name == "collections":
                    _in_collections(db, write, part)
                else:
                    write(db, part)
                if part == 3:
                    older.append(path.read_bytes())
            if part == 2:
                db.compact()  # else most pages were free, and damage to them means nothing
    return Specimen(name, path.read_bytes(), tuple(older[:-1]))


def _in_collections(
    db: mvdb.Database, write: Callable[[mvdb.Database, int], None], part: int
) -> None:
    """The same ids in two collections, and some documents in the file's own database."""
    for collection in ("one", "two"):
        write(db.collection(collection, dim=DIM, bits=4), part)
    entry = make_entry(part, 2, DIM)
    db.upsert(part, entry.vectors, texts=entry.text, metadata=entry.metadata)


def weights_of(name: str | int, version: int) -> dict[str | int, float] | None:
    """The sparse vector of a document: of words and numbers, or none."""
    rng = np.random.default_rng([zlib.crc32(repr(name).encode()), version, 3])
    if rng.random() < 0.2:
        return None
    numbers = rng.permutation(60)[: rng.integers(1, 20)].tolist()
    return {i if i % 2 else f"term {i}": float(rng.exponential()) for i in numbers}


def _insert(db: mvdb.Database, part: int) -> None:
    names: list[str | int] = [part * 100 + i for i in range(24)]
    names += [f"schlüssel {part} {i}" for i in range(10)]
    entries = [make_entry(name, part, DIM, MAX_TOKENS) for name in names]
    db.insert(
        names,
        [entry.vectors for entry in entries],
        texts=[entry.text for entry in entries],
        metadata=[entry.metadata for entry in entries],
        sparse=[weights_of(name, part) for name in names],
    )


def _replace(db: mvdb.Database, part: int) -> None:
    with db.transaction() as txn:
        replaced = make_entry(part * 100, 50 + part, DIM, MAX_TOKENS)
        sparse = weights_of(part * 100, 50 + part) or {"term 2": 1.0}
        txn.upsert(
            part * 100,
            replaced.vectors,
            texts=replaced.text,
            metadata=replaced.metadata,
            sparse=sparse,
        )
        txn.delete([part * 100 + 1, part * 100 - 90, f"schlüssel {part} 3"])


def _single(db: mvdb.Database, part: int) -> None:
    entry = make_entry(f"single {part}", 1, DIM)
    db.upsert([f"single {part}", 5], [entry.vectors, entry.vectors], texts=["alone", "again"])
