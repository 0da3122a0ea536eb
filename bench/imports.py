"""Quality of an index of fast-plaid after its import: nDCG@10 of both searches of the same index.

    python -m bench.peers.run nfcorpus --install --only fast_plaid   # builds and searches the index
    python -m bench.imports nfcorpus                                 # imports and searches it

The second command takes the index and the rankings that the first one left in the cache
(`bench.vectors`), and imports the index with `mvdb.importers` at several bits per dimension.
"overlap" is the share of the ten best of the exact MaxSim of the original vectors that is found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import mvdb
from bench.corpora import load_collection
from bench.metrics import ndcg_at, overlap_at
from bench.truth import all_scores, best_ten
from bench.vectors import cache_folder, load_vectors
from mvdb import importers

K = 10


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", nargs="?", default="nfcorpus")
    parser.add_argument("--runner", default="fast_plaid", help="folder of the peer's results")
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 4, 8, 16])
    options = parser.parse_args(arguments)
    measure(options.collection, options.runner, options.bits)


def measure(name: str, runner: str, bits: list[int]) -> None:
    """Prints a row for the peer, for exact MaxSim, and for each import."""
    source = cache_folder(name)
    work = source.parent / "peers" / source.name / runner
    result = json.loads((work / "result.json").read_text(encoding="utf-8"))
    vectors, judged = load_vectors(name), load_collection(name).qrels
    asked = result["query_ids"]  # all, or the first ones
    queries, qrels = vectors.queries()[: len(asked)], {query: judged[query] for query in asked}
    table = all_scores(queries, vectors.doc_flat, vectors.doc_lengths)
    exact = [[vectors.doc_ids[place] for place in row] for row in best_ten(table)]

    def row(label: str, found: list[list[str]], note: str = "") -> None:
        quality = ndcg_at(K, dict(zip(asked, found, strict=True)), qrels)
        print(f"| {label} | {quality:.4f} | {overlap_at(K, found, exact):.3f} | {note} |")

    print("| search | nDCG@10 | overlap@10 | |\n|---|---|---|---|")
    row("exact, original vectors", exact)
    row(f"{result['engine']} {result['version']}, {result['bits']} bits", result["top"])
    for number in bits:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "imported.mvdb"
            start = time.perf_counter()
            index = importers.open_source(work / "index")
            with mvdb.open(path, dim=index.dim, bits=number) as db:
                count = db.insert_batches(index.batches(), total=index.total)
                db.optimize()
                seconds = time.perf_counter() - start
                for exactly in (False, True):
                    found = [
                        [vectors.doc_ids[int(hit.id)] for hit in db.search(query, K, exact=exactly)]
                        for query in queries
                    ]
                    label = f"mvdb, {number} bits{', exact' if exactly else ''}"
                    row(label, found, f"{count:,} documents in {seconds:.1f} s")


if __name__ == "__main__":
    main()
