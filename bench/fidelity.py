"""How faithful are the stored vectors? mvdb's codec beside ColBERTv2's, without any coarse stage.

    python -m bench.fidelity                            # everything
    python -m bench.fidelity nfcorpus --bits 2 --centroids 8192

Every document is scored with what is reconstructed from the stored bytes and compared with exact
MaxSim of the original vectors. Both codecs have the same centroids and the same codes.

- *overlap@10*: share of the exact ten best among the ten best found; *nDCG@10*: linear gain.
- *error²*: mean squared distance of a unit vector and its reconstruction.
- *score error*: root mean square, over all pairs of query and document, of MaxSim's error;
  *relative*: to that of ColBERTv2's codec at the same bits.

Cases: collections encoded with the default encoder (`bench.vectors`), with mvdb's own number of
centroids and with --centroids; and real ColBERTv2 vectors: ``nanofiqa35`` (exact, with foreign
centroids: those of the lotte index) and ``lotte500`` (there the 2-bit reconstructions of a PLAID
index are taken for exact; with that index's centroids ColBERTv2's codec would meet its own output
again, so others are trained).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.colbertv2_codec import ColbertV2Codec
from bench.corpora import data_folder, load_collection
from bench.metrics import ndcg_at, overlap_at
from bench.points import Points, parser
from bench.truth import K, all_scores, best_ten
from bench.vectors import load_vectors
from mvdb import core
from mvdb.codebook import training
from mvdb.write import memory_budget

SEED = 1
COLBERT_CASES = ("nanofiqa35", "lotte500")


@dataclass(frozen=True)
class Case:
    """Documents, queries and the centroids to encode them with.

    flat: (n, dim) float32 unit rows; lengths: (documents,); codec: 4-bit codec with the centroids.
    ids, query_ids, qrels are empty where there is nothing judged."""

    name: str
    flat: core.Floats
    lengths: NDArray[np.integer]
    queries: list[core.Floats]
    spec: core.CodecSpec
    ids: list[str]
    query_ids: list[str]
    qrels: dict[str, dict[str, int]]


def train(flat: core.Floats, n_centroids: int | None) -> core.CodecSpec:
    """A codec trained as a database would; `n_centroids`: another number of centroids."""
    own = training.CENTROIDS_PER_ROOT
    if n_centroids is not None:
        per_root = (n_centroids + 0.5) / math.sqrt(len(flat))
        training.CENTROIDS_PER_ROOT = per_root  # type: ignore[assignment]
    try:
        sample = training.draw(
            [flat.astype(np.float16)], len(flat), SEED, flat.shape[1], memory_budget.DEFAULT
        )
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            return training.train(sample, 4, SEED, executor)
    finally:
        training.CENTROIDS_PER_ROOT = own


def given_centroids(centroids: core.Floats, sample: core.Floats) -> core.CodecSpec:
    """A codec with given centroids, all in one group; tables of scales as training fits them."""
    rows, _ = core.normalise(np.ascontiguousarray(centroids, np.float32))
    points = core.make_points(rows, training.ROTATION_SEED).astype(np.int16)
    spec = core.CodecSpec(
        dim=centroids.shape[1],
        bits=4,
        seed=training.ROTATION_SEED,
        rows=(points + 128).astype(np.uint8),
        group_rows=np.full((1, points.shape[1]), 128, np.uint8),
        group_starts=np.array([0, len(rows)], np.uint32),
        members=np.arange(len(rows), dtype=np.uint32),
        a_scales=np.linspace(0, 2, core.SCALES, dtype=np.float32),
        b_scales=np.linspace(0, 1, core.SCALES, dtype=np.float32),
    )
    return training.fit_scales(spec, sample[:: max(1, len(sample) // training.SCALE_SAMPLE)].copy())


def collection_cases(name: str, centroids: Sequence[int | None]) -> Iterator[Case]:
    """A text collection, once for each number of centroids (None: mvdb's own choice)."""
    vectors, collection = load_vectors(name), load_collection(name)
    flat, _ = core.normalise(vectors.doc_flat.astype(np.float32))
    for number in centroids:
        yield Case(
            name=name,
            flat=flat,
            lengths=vectors.doc_lengths,
            queries=vectors.queries(),
            spec=train(flat, number),
            ids=vectors.doc_ids,
            query_ids=vectors.query_ids,
            qrels=collection.qrels,
        )


def colbert_case(name: str) -> Case:
    """One of COLBERT_CASES."""
    folder = data_folder() / f"colbert-vectors-{name}"
    file = "doc_embeddings_f32.npy" if name == "nanofiqa35" else "doc_embeddings_recon_f16.npy"
    flat, _ = core.normalise(np.load(folder / file).astype(np.float32))
    spec = train(flat, None)
    if name == "nanofiqa35":
        index = np.load(data_folder() / "colbert-vectors-lotte500" / "plaid_index.npz")
        spec = given_centroids(index["centroids"].astype(np.float32), flat)
    queries = list(np.load(folder / "query_embeddings_f32.npy").astype(np.float32))
    lengths = np.load(folder / "doclens.npy")
    return Case(name, flat, lengths, queries, spec, [], [], {})


def rebuild(codec: core.Codec, case: Case) -> tuple[NDArray[np.uint32], core.Floats]:
    """Centroid numbers (n,) and reconstructed vectors (n, dim), through encoded bytes."""
    codes, records, _ = codec.encode(case.flat, case.lengths.astype(np.uint32))
    code_view, record_view = codes.data, records.data
    out = np.empty_like(case.flat)
    at = 0
    for length in case.lengths.tolist():
        end = at + length
        part = code_view[at * codec.code_bytes : end * codec.code_bytes]
        record = record_view[at * codec.token_bytes : end * codec.token_bytes]
        out[at:end] = codec.decode(part, codec.code_bytes, record, length)
        at = end
    columns = codes.reshape(-1, codec.code_bytes).astype(np.uint32)
    return columns @ (256 ** np.arange(codec.code_bytes, dtype=np.uint32)), out


def plain_centroids(spec: core.CodecSpec) -> core.Floats:
    """The centroids of a codec (K, dim), rotated back and of unit length."""
    codec = core.Codec(
        replace(
            spec,
            a_scales=np.ones(core.SCALES, np.float32),
            b_scales=np.zeros(core.SCALES, np.float32),
        )
    )
    n = len(spec.rows)
    codes = np.arange(n, dtype="<u4").view(np.uint8).reshape(n, 4)[:, : codec.code_bytes]
    record = np.zeros(n * codec.token_bytes, np.uint8)
    flat = np.ascontiguousarray(codes).reshape(-1).data
    rows = codec.decode(flat, codec.code_bytes, record.data, n)
    return core.normalise(rows)[0]


class Judge:
    """Exact scores of a case, and how reconstructed vectors compare with them."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._scores = all_scores(case.queries, case.flat, case.lengths)
        self._best = best_ten(self._scores)

    def exact(self) -> dict[str, Any]:
        """The row of the original vectors."""
        return self._row("exact", None, None, self._best) | {"overlap@10": 1.0}

    def row(self, codec: str, bits: int, size: float, vectors: core.Floats) -> dict[str, Any]:
        """What reconstructed vectors (n, dim) are worth."""
        scores = all_scores(self._case.queries, vectors, self._case.lengths)
        best = best_ten(scores)
        return self._row(codec, bits, size, best) | {
            "overlap@10": overlap_at(K, best, self._best),
            "error²": _mean_square(vectors, self._case.flat),
            "score error": float(np.sqrt(np.mean((scores - self._scores) ** 2, dtype=np.float64))),
        }

    def _row(
        self, codec: str, bits: int | None, size: float | None, best: list[list[int]]
    ) -> dict[str, Any]:
        case = self._case
        found = {
            query: [case.ids[i] for i in row]
            for query, row in zip(case.query_ids, best if case.query_ids else [], strict=True)
        }
        return {
            "bits": bits,
            "codec": codec,
            "bytes/token": size,
            "nDCG@10": ndcg_at(K, found, case.qrels) if found else None,
        }


def _mean_square(x: core.Floats, y: core.Floats) -> float:
    total = sum(
        float(np.sum((x[at : at + 65536] - y[at : at + 65536]) ** 2, dtype=np.float64))
        for at in range(0, len(x), 65536)
    )
    return total / len(x)


def measure(case: Case, bits: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of both codecs for each number of bits."""
    judge = Judge(case)
    centroids = plain_centroids(case.spec)
    rows = [judge.exact()]
    for b in bits:
        codec = core.Codec(_with_bits(case, b))
        codes, vectors = rebuild(codec, case)
        ours = judge.row("mvdb", b, codec.token_bytes + codec.code_bytes, vectors)
        other = ColbertV2Codec.fit(centroids, case.flat, codes, b)
        size = other.token_bytes(codec.code_bytes)
        theirs = judge.row("ColBERTv2", b, size, other.reconstruct(case.flat, codes))
        ours["relative"] = ours["score error"] / theirs["score error"]
        rows += [theirs, ours]
    return rows


def _with_bits(case: Case, bits: int) -> core.CodecSpec:
    """The case's codec for another number of bits: same centroids, tables of scales fitted anew."""
    chosen = np.random.default_rng(SEED).permutation(len(case.flat))[: training.SCALE_SAMPLE]
    sample = np.ascontiguousarray(case.flat[np.sort(chosen)])
    return training.fit_scales(
        replace(case.spec, bits=bits),
        sample[:: max(1, len(sample) // training.SCALE_SAMPLE)].copy(),
    )


def cases(names: Sequence[str], centroids: Sequence[int | None]) -> Iterator[Case]:
    """The cases of the given names."""
    for name in names:
        if name in COLBERT_CASES:
            yield colbert_case(name)
        else:
            yield from collection_cases(name, centroids)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", default=["nfcorpus", "scifact", *COLBERT_CASES])
    options.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4, 8])
    options.add_argument("--centroids", type=int, nargs="*", default=[8192])
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for case in cases(chosen.names, [None, *chosen.centroids]):
        title = f"{case.name}: {len(case.flat):,} tokens, {len(case.spec.rows):,} centroids"
        points.add(title, *measure(case, chosen.bits))
        points.show()


if __name__ == "__main__":
    main()
