"""Collections of any size, made from the real token vectors of a smaller one, block by block.

    python -m bench.synthetic 1m --queries 250      # the exact answers, into the cache

The first documents are those of the base collection. Every further document is

- two to four contiguous spans of token vectors of random real documents, one after another, whose
  total length is drawn from the lengths of the real documents (a span longer than its document is
  cut to it);
- with each token vector v replaced by normalise(v + s u), where u is another real token vector, one
  of a random pool of 65,536, and s is chosen so that the mean cosine of v and the result is .88.

So the vectors keep the distribution of the real ones and no two documents share a token. Documents
are made in blocks of `BLOCK`, each from the seed and its number alone: a collection of a million is
the beginning of one of five millions, and nothing is ever stored whole.

The exact answers are the ten best documents by MaxSim in float32 for a random sample of the base
collection's queries. They are kept in the base's cache folder; a longer collection starts from what
was found for a shorter one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics import overlap_at, split_rows
from bench.processes import call
from bench.truth import K, all_scores, best_ten
from bench.vectors import DIM, cache_folder

BLOCK = 4096
"""Documents made at once."""
COSINE = 0.88
SPANS = (2, 4)
POOL = 1 << 16
SEED = 1
N_QUERIES = 250
METHOD = 1
"""Number of the method above, part of the names of kept answers."""
_NOISE_ROWS = 8192
_CHECKPOINT = 64 * BLOCK
_SIZES = {"3.6k": "nfcorpus", "5.2k": "scifact", "50k": "wiki-50k", "200k": "wiki-200k"}
_SUFFIXES = {"k": 1_000, "m": 1_000_000}

Floats = NDArray[np.float32]
Rows = NDArray[np.float16]
Numbers = NDArray[np.int64]
Batch = tuple[range, Rows, Numbers]
"""Ids, flat (n, 128) and the documents' lengths, whose sum is n."""


@dataclass(frozen=True)
class Source:
    """A stream of `n_documents`: those of the collection `base` and, beyond them, made ones."""

    base: str
    n_documents: int
    seed: int = SEED

    @cached_property
    def _flat(self) -> Rows:
        # The memmap's own indexing is ten times slower than that of a plain array over it.
        flat: Rows = np.asarray(np.load(cache_folder(self.base) / "doc_flat.npy", mmap_mode="r"))
        return flat

    @cached_property
    def _lengths(self) -> Numbers:
        lengths: Numbers = np.load(cache_folder(self.base) / "doc_lengths.npy").astype(np.int64)
        return lengths

    @cached_property
    def _starts(self) -> Numbers:
        return np.cumsum(np.concatenate([[0], self._lengths]))

    @cached_property
    def _noise(self) -> Floats:
        """The pool of vectors u, times s."""
        rng = np.random.default_rng([self.seed, METHOD])
        chosen = np.sort(rng.integers(0, len(self._flat), POOL))
        pool = unit(self._flat[chosen].astype(np.float32))
        rng.shuffle(pool)
        pool *= _scale(pool)
        return pool

    def prepare(self) -> None:
        """Makes what all blocks share, before threads ask for it."""
        _ = self._starts, self._noise

    @property
    def n_base_tokens(self) -> int:
        """Token vectors of the base collection."""
        return len(self._flat)

    @property
    def n_real(self) -> int:
        """How many of the documents are real ones."""
        return min(self.n_documents, len(self._lengths))

    def batches(self, first: int = 0, size: int = BLOCK) -> Iterator[Batch]:
        """The documents from `first`, a multiple of BLOCK, in order, at most `size` at once."""
        for number in range(first // BLOCK, -(-self.n_documents // BLOCK)):
            ids, flat, lengths = self.block(number)
            ends = np.cumsum(lengths)
            for at in range(0, len(ids), size):
                part = lengths[at : at + size]
                end = int(ends[at + len(part) - 1])
                yield ids[at : at + size], flat[end - int(part.sum()) : end], part

    def block(self, number: int) -> Batch:
        """Documents number * BLOCK and on, at most BLOCK."""
        ids = range(number * BLOCK, min((number + 1) * BLOCK, self.n_documents))
        n_real = min(max(0, len(self._lengths) - ids.start), len(ids))
        if n_real == len(ids):
            return ids, *self._real(ids)
        # All of a block is made, whatever part of it is wanted.
        rng = np.random.default_rng([self.seed, METHOD, number])
        rows, lengths = self._draw(rng)
        ends = np.cumsum(lengths)
        begin = int(ends[n_real] - lengths[n_real])
        flat = self._blur(rng, rows)[begin : int(ends[len(ids) - 1])]
        lengths = lengths[n_real : len(ids)]
        if n_real == 0:
            return ids, flat, lengths
        real, real_lengths = self._real(ids[:n_real])
        return ids, np.concatenate([real, flat]), np.concatenate([real_lengths, lengths])

    def _real(self, ids: range) -> tuple[Rows, Numbers]:
        """Documents of the base collection: a view of the mapped file."""
        flat = self._flat[self._starts[ids.start] : self._starts[ids.stop]]
        return flat, self._lengths[ids.start : ids.stop]

    def _draw(self, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        """Of a block of made documents, the rows they are taken from, and their lengths."""
        totals = np.maximum(self._lengths[rng.integers(0, len(self._lengths), BLOCK)], SPANS[1])
        n_spans = rng.integers(SPANS[0], SPANS[1] + 1, BLOCK)
        shares = rng.uniform(0.5, 1.5, (BLOCK, SPANS[1]))
        shares[np.arange(SPANS[1]) >= n_spans[:, None]] = 0
        bounds = np.cumsum(shares, axis=1) / shares.sum(axis=1, keepdims=True)
        ends = np.rint(bounds * totals[:, None]).astype(np.int64)
        spans = np.diff(ends, axis=1, prepend=0)
        sources = rng.integers(0, len(self._lengths), spans.shape)
        spans = np.minimum(spans, self._lengths[sources])
        offsets = rng.random(spans.shape) * (self._lengths[sources] - spans + 1)
        starts = self._starts[sources] + offsets.astype(np.int64)
        flat_spans = spans.ravel()
        before = np.cumsum(flat_spans) - flat_spans
        rows = np.repeat(starts.ravel() - before, flat_spans) + np.arange(flat_spans.sum())
        return rows, spans.sum(axis=1)

    def _blur(self, rng: np.random.Generator, rows: Numbers) -> Rows:
        """The vectors at `rows`, each moved towards another one."""
        made = np.empty((len(rows), DIM), np.float16)
        chosen = rng.integers(0, POOL, len(rows))
        for at in range(0, len(rows), _NOISE_ROWS):
            part = slice(at, at + _NOISE_ROWS)
            moved = np.take(self._flat, rows[part], axis=0).astype(np.float32)
            moved += np.take(self._noise, chosen[part], axis=0)
            made[part] = unit(moved)
        return made


def unit(rows: Floats) -> Floats:
    """The rows themselves, brought to unit length in place."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows /= lengths[:, None]
    return rows


def _scale(pool: Floats) -> float:
    """The s for which v and v + s u have the mean cosine COSINE, by bisection over random pairs."""
    half = len(pool) // 2
    dots = np.einsum("ij,ij->i", pool[:half], pool[half:])
    low, high = 0.0, 4.0
    for _ in range(40):
        s = (low + high) / 2
        cosine = float(np.mean((1 + s * dots) / np.sqrt(1 + 2 * s * dots + s * s)))
        low, high = (s, high) if cosine > COSINE else (low, s)
    return low


def source(size: str, base: str) -> Source:
    """The collection called `size`: a name like 50k of a real one, a cached one's own name, or a
    number like 1m, made from `base` where that has fewer documents."""
    name = _SIZES.get(size, size)
    if cache_folder(name).is_dir():
        return Source(name, len(np.load(cache_folder(name) / "doc_lengths.npy")))
    number = size[:-1] if size[-1:].lower() in _SUFFIXES else size
    try:
        n_documents = round(float(number) * _SUFFIXES.get(size[-1:].lower(), 1))
    except ValueError:
        raise SystemExit(f"{size}: neither a cached collection nor a number of documents") from None
    return Source(base, n_documents)


@dataclass(frozen=True)
class Queries:
    """A sample of a collection's queries: their positions there, and their vectors."""

    positions: list[int]
    vectors: list[Floats]


def sample_queries(base: str, n_queries: int) -> Queries:
    """A random sample, in the collection's order; all queries when there are no more."""
    lengths = np.load(cache_folder(base) / "query_lengths.npy")
    matrices = split_rows(np.load(cache_folder(base) / "query_flat.npy"), lengths)
    n = min(n_queries, len(matrices))
    chosen = np.sort(np.random.default_rng(SEED).choice(len(matrices), n, replace=False)).tolist()
    return Queries(chosen, [matrices[i].copy() for i in chosen])


# ---- exact answers ----


@dataclass(frozen=True)
class Best:
    """The best documents of each query, best first: scores (queries, K) and ids of that shape."""

    scores: Floats
    ids: Numbers

    def merge(self, other: Best) -> Best:
        """The best of both; of equal scores those of this one, which has the smaller ids."""
        scores = np.concatenate([self.scores, other.scores], axis=1)
        ids = np.concatenate([self.ids, other.ids], axis=1)
        kept = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        return Best(np.take_along_axis(scores, kept, 1), np.take_along_axis(ids, kept, 1))


def best_of_block(made: Source, number: int, queries: list[Floats]) -> Best:
    """The best documents of one block."""
    ids, flat, lengths = made.block(number)
    table = all_scores(queries, flat, lengths)
    chosen = np.array(best_ten(table), np.int64)
    return Best(np.take_along_axis(table, chosen, 1), chosen + ids.start)


def _answers_path(made: Source, n_queries: int, n_documents: int | str) -> Path:
    """Where the answers over the first documents are kept. The name tells all they depend on."""
    origin = f"method{METHOD}-{made.n_base_tokens}-seed{made.seed}"
    return cache_folder(made.base) / f"exact-{origin}-queries{n_queries}-{n_documents}.npz"


def _known(made: Source, n_queries: int) -> tuple[int, Best | None]:
    """The kept answers for the longest beginning of a stream that ends with a block, or all."""
    pattern = _answers_path(made, n_queries, "*")
    kept = {int(path.stem.rpartition("-")[2]): path for path in pattern.parent.glob(pattern.name)}
    wanted = made.n_documents
    usable = [n for n in kept if n == wanted or (n % BLOCK == 0 and n < wanted)]
    if not usable:
        return 0, None
    with np.load(kept[max(usable)]) as arrays:
        return max(usable), Best(arrays["scores"], arrays["ids"])


def _keep(made: Source, n_queries: int, n_documents: int, best: Best) -> None:
    path = _answers_path(made, n_queries, n_documents)
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    np.savez(unfinished, scores=best.scores, ids=best.ids)
    unfinished.replace(path)


def find_exact(base: str, n_documents: int, seed: int, n_queries: int) -> None:
    """Keeps the exact answers. Runs in its own process, where numpy has one thread: blocks are done
    side by side instead."""
    made = Source(base, n_documents, seed)
    queries = sample_queries(base, n_queries).vectors
    done, best = _known(made, n_queries)
    made.prepare()
    begin, first = time.monotonic(), done

    def best_of(number: int) -> Best:
        return best_of_block(made, number, queries)

    with ThreadPoolExecutor(os.cpu_count()) as executor:
        while done < n_documents:
            end = min(done + _CHECKPOINT, n_documents)
            for found in executor.map(best_of, range(done // BLOCK, -(-end // BLOCK))):
                best = found if best is None else best.merge(found)
            done = end
            if best is not None:
                _keep(made, n_queries, done, best)
            rate = (done - first) / (time.monotonic() - begin)
            print(f"exact: {done:,} documents, {rate:.0f} a second", file=sys.stderr, flush=True)


def exact_answers(made: Source, n_queries: int = N_QUERIES) -> list[list[int]]:
    """The ten best documents of each query of the sample; found at first use: 100,000 documents of
    120 tokens take some two minutes of a core with 250 queries of 14."""
    if _known(made, n_queries)[0] != made.n_documents:
        settings: dict[str, Any] = {"seed": made.seed, "n_queries": n_queries}
        call(find_exact, base=made.base, n_documents=made.n_documents, **settings)
    best = _known(made, n_queries)[1]
    assert best is not None
    answers: list[list[int]] = best.ids.tolist()
    return answers


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="exact answers over collections of any size")
    parser.add_argument("sizes", nargs="+", help="like 50k or 1m")
    parser.add_argument("--base", default="wiki-200k", help="collection that documents come from")
    parser.add_argument("--queries", type=int, default=N_QUERIES, help="queries in the sample")
    options = parser.parse_args(arguments)
    for size in options.sizes:
        made = source(size, options.base)
        answers = exact_answers(made, options.queries)
        real = [[i for i in row if i < made.n_real] for row in answers]
        shape = {"base": made.base, "documents": made.n_documents, "queries": len(answers)}
        print(json.dumps({**shape, "real among the best": overlap_at(K, real, answers)}))


if __name__ == "__main__":
    main()
