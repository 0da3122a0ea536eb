"""mvdb beside PyLate's PLAID, in PyLate's own retrieval flow: do they find the same ten documents?

    python -m bench.pylate_overlap                       # nanofiqa35, NFCorpus
    python -m bench.pylate_overlap nanofiqa35 --bits 2 4

It needs PyLate. `nanofiqa35` has vectors of ColBERTv2, other collections those of `bench.vectors`.
Shares are of ten documents: of the exact ones by MaxSim, and of PLAID's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.corpora import data_folder
from bench.metrics import overlap_at, split_rows
from bench.points import markdown
from bench.truth import MAX_QUERIES, K, all_scores, best_ten, load_truth
from mvdb.integrations.pylate import MvdbIndex

COLBERT = "nanofiqa35"
Matrices = list[NDArray[np.float32]]
Found = list[list[int]]


def load(name: str) -> tuple[Matrices, Matrices, Found]:
    """Documents, queries, and the numbers of the exact ten best of each query."""
    if name != COLBERT:
        truth = load_truth(name)
        flat = truth.vectors.doc_flat.astype(np.float32)
        return split_rows(flat, truth.vectors.doc_lengths), truth.queries, truth.exact()
    folder = data_folder() / f"colbert-vectors-{name}"
    flat = np.load(folder / "doc_embeddings_f32.npy")
    lengths = np.load(folder / "doclens.npy")
    queries = list(np.load(folder / "query_embeddings_f32.npy"))[:MAX_QUERIES]
    return split_rows(flat, lengths), queries, best_ten(all_scores(queries, flat, lengths))


def retrieved(index: Any, documents: Matrices, queries: Matrices) -> Found:
    """PyLate's flow: ids are the numbers of the documents."""
    from pylate import retrieve

    index.add_documents([str(number) for number in range(len(documents))], documents)
    results = retrieve.ColBERT(index=index).retrieve(queries, k=K, device="cpu")
    return [[int(one["id"]) for one in found] for found in results]


def rows(name: str, bits: Sequence[int]) -> list[dict[str, Any]]:
    """A row for PLAID and for each number of bits."""
    from pylate import indexes

    documents, queries, exact = load(name)
    with tempfile.TemporaryDirectory() as folder:
        plaid = indexes.PLAID(folder, "plaid", device="cpu", show_progress=False, use_triton=False)
        by_plaid = retrieved(plaid, documents, queries)
        answers = {"PLAID, 4 bits": by_plaid}
        for number in bits:
            with MvdbIndex(folder, f"mvdb{number}", nbits=number) as index:
                answers[f"mvdb, {number} bits"] = retrieved(index, documents, queries)
    return [
        {
            "collection": name,
            "index": index,
            "of exact": overlap_at(K, found, exact),
            "of PLAID": overlap_at(K, found, by_plaid),
        }
        for index, found in answers.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collections", nargs="*", default=[COLBERT, "nfcorpus"])
    parser.add_argument("--bits", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table = [row for name in options.collections for row in rows(name, options.bits)]
    print(json.dumps(table) if options.json else markdown("Overlap@10", table))


if __name__ == "__main__":
    main()
