"""Token vectors of a collection by the default encoder, encoded once and kept in a cache.

    python -m bench.vectors nfcorpus scifact              # encode what the cache lacks
    python -m bench.vectors --threads 1 wiki-50k

The cache is ``$MVDB_CACHE`` (``~/.cache/mvdb-bench`` without it), with a folder
``<collection>-minilm128`` per collection: ``doc_flat.npy doc_lengths.npy doc_ids.json
query_flat.npy query_lengths.npy query_ids.json``. A folder appears under its name only when it is
complete.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.corpora import Collection, load_collection
from bench.metrics import split_rows

DIM = 128
# Documents encoded at once: enough for batches of like length, and 200 MB of vectors at most.
_CHUNK = 1024


@dataclass(frozen=True)
class Vectors:
    """The token vectors of a collection, all rows of unit length (up to rounding in float16).

    doc_flat: (N, 128) float16, mapped from the file; doc_lengths: (documents,) int32, sum N;
    query_flat: (M, 128) float32; query_lengths: (queries,) int32, sum M. Ids are in the
        collection's order.
    """

    doc_flat: NDArray[np.float16]
    doc_lengths: NDArray[np.int32]
    doc_ids: list[str]
    query_flat: NDArray[np.float32]
    query_lengths: NDArray[np.int32]
    query_ids: list[str]

    def queries(self) -> list[NDArray[np.float32]]:
        """One (m, 128) view per query."""
        return split_rows(self.query_flat, self.query_lengths)

    def __len__(self) -> int:
        return len(self.doc_lengths)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *self.doc_lengths.tolist()])

    def part(self, first: int, last: int) -> tuple[NDArray[np.float16], NDArray[np.int32]]:
        """Documents first .. last - 1 as (flat, lengths), copied from the file."""
        rows = np.array(self.doc_flat[self._starts[first] : self._starts[last]])
        return rows, self.doc_lengths[first:last]

    def reordered(self, order: NDArray[np.integer]) -> Vectors:
        """The same with the documents in another order, in memory."""
        parts = [self.doc_flat[self._starts[i] : self._starts[i + 1]] for i in order]
        ids = [self.doc_ids[i] for i in order]
        return replace(
            self, doc_flat=np.concatenate(parts), doc_lengths=self.doc_lengths[order], doc_ids=ids
        )

    def insert(self, db: mvdb.Database, first: int, last: int) -> None:
        """One insert of documents first .. last - 1, whose ids are their positions."""
        db.insert(list(range(first, last)), self.part(first, last))


def cache_folder(collection: str) -> Path:
    """Where the vectors of this collection are, or would be."""
    cache = os.environ.get("MVDB_CACHE")
    root = Path(cache) if cache else Path.home() / ".cache" / "mvdb-bench"
    return root / f"{collection}-minilm128"


def load_vectors(collection: str | Collection, threads: int | None = None) -> Vectors:
    """The vectors of a collection of the folder (its name), or of a made one; encoded first, which
    takes minutes, when the cache lacks them.

    Raises:
        FileNotFoundError: neither the cache nor the folder of collections has this one.
        ImportError: it must be encoded and the extra ``text`` is not installed.
    """
    name = collection if isinstance(collection, str) else collection.name
    folder = cache_folder(name)
    if not folder.is_dir():
        source = load_collection(name) if isinstance(collection, str) else collection
        encode(source, folder, threads)
    return Vectors(
        doc_flat=np.load(folder / "doc_flat.npy", mmap_mode="r"),
        doc_lengths=np.load(folder / "doc_lengths.npy"),
        doc_ids=json.loads((folder / "doc_ids.json").read_text(encoding="utf-8")),
        query_flat=np.load(folder / "query_flat.npy"),
        query_lengths=np.load(folder / "query_lengths.npy"),
        query_ids=json.loads((folder / "query_ids.json").read_text(encoding="utf-8")),
    )


def encode(collection: Collection, folder: Path, threads: int | None = None) -> None:
    """Encode into ``folder``, which must not exist; it appears complete or not at all."""
    from mvdb.encoders import default

    encoder = default(threads=threads)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _encode_queries(encoder, collection, unfinished)
        _encode_documents(encoder, collection, unfinished)
        # mkdtemp's folder is for its owner alone; the cache is for whoever may read beside it.
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process was first: as good
            raise


def _encode_queries(encoder: Any, collection: Collection, folder: Path) -> None:
    queries = encoder.encode_queries(collection.queries)
    np.save(folder / "query_flat.npy", np.concatenate(queries).astype(np.float32))
    np.save(folder / "query_lengths.npy", np.array([len(query) for query in queries], np.int32))
    _write_json(folder / "query_ids.json", collection.query_ids)


def _encode_documents(encoder: Any, collection: Collection, folder: Path) -> None:
    lengths: list[int] = []
    start = time.monotonic()
    with (folder / "doc_flat.npy").open("wb") as file:
        _write_header(file, 0)
        for first in range(0, len(collection.texts), _CHUNK):
            documents = encoder.encode_documents(collection.texts[first : first + _CHUNK])
            file.write(np.concatenate(documents).astype(np.float16).tobytes())
            lengths.extend(map(len, documents))
            _report(collection.name, len(lengths), len(collection.texts), time.monotonic() - start)
        file.seek(0)
        _write_header(file, sum(lengths))
    np.save(folder / "doc_lengths.npy", np.array(lengths, dtype=np.int32))
    _write_json(folder / "doc_ids.json", collection.ids)


def _write_header(file: BinaryIO, rows: int) -> None:
    """The .npy header of (rows, 128) float16; numpy pads it to one length for all ``rows``."""
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f2", "fortran_order": False, "shape": (rows, DIM)}
    )


def _write_json(path: Path, value: Sequence[str]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _report(name: str, done: int, total: int, seconds: float) -> None:
    print(
        f"{name}: {done:,} of {total:,} documents, {done / seconds:.0f} a second",
        file=sys.stderr,
        flush=True,
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="encode collections into the cache")
    parser.add_argument("collections", nargs="+", metavar="COLLECTION")
    parser.add_argument(
        "--threads", type=int, help="threads of the encoder (default: one a processor)"
    )
    options = parser.parse_args(arguments)
    for name in options.collections:
        vectors = load_vectors(name, options.threads)
        print(
            f"{cache_folder(name)}: {len(vectors.doc_ids):,} documents,"
            f" {len(vectors.doc_flat):,} rows;"
            f" {len(vectors.query_ids):,} queries, {len(vectors.query_flat):,} rows"
        )


if __name__ == "__main__":
    main()
