"""How good is each way to find? Through the public API.

    python -m bench.hybrid                               # four collections
    python -m bench.hybrid scifact --stem english --queries 300
    python -m bench.hybrid wiki-50k --rounds 5           # times too

nDCG@10 of MaxSim alone, BM25 alone, reciprocal rank fusion and the default search of a file with
token vectors and texts; over all queries, and over those with odd numbers: the constants of the
default were chosen on the even ones. *p50 ms*: each query is asked each way in turn, ``--rounds``
times (0: not at all), and counts with its least time; *of the sum*: over that of MaxSim and BM25
together. One thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.corpora import Collection, load_collection
from bench.metrics import ndcg_at
from bench.points import Points, parser
from bench.timing import timed
from bench.truth import K
from bench.vectors import Vectors, load_vectors

COLLECTIONS = ("nfcorpus", "scifact", "cranfield", "squad-dev-plus")
MAX_QUERIES = 1000
"""Of larger sets as many are drawn evenly: sets may be ordered by topic."""
MAX_TIMED = 200
WAYS: dict[str, dict[str, Any]] = {
    "MaxSim": {"mode": "dense"},
    "BM25": {"mode": "lexical"},
    "rank fusion": {"mode": "hybrid", "fusion": "rrf"},
    "default": {},
}
"""Ways to find, and their options of a search."""


@contextmanager
def searchable(
    path: Path, collection: Collection, vectors: Vectors, bits: int, stem: str | None
) -> Iterator[mvdb.Database]:
    """A new database of the collection's vectors and texts."""
    with mvdb.open(str(path), dim=vectors.doc_flat.shape[1], bits=bits, lexical=stem or True) as db:
        db.insert(collection.ids, (vectors.doc_flat, vectors.doc_lengths), texts=collection.texts)
        yield db


def answers(
    db: mvdb.Database,
    way: str,
    collection: Collection,
    queries: Sequence[NDArray[Any]],
    chosen: Sequence[int],
) -> dict[str, list[str]]:
    """The ten best documents of the chosen queries (positions), by the query's id."""
    options = WAYS[way]
    found = {}
    for i in chosen:
        matrix = None if options.get("mode") == "lexical" else queries[i]
        text = None if options.get("mode") == "dense" else collection.queries[i]
        hits = db.search(matrix, K, text=text, **options)
        found[collection.query_ids[i]] = [str(hit.id) for hit in hits]
    return found


def medians(
    db: mvdb.Database,
    collection: Collection,
    queries: Sequence[NDArray[Any]],
    chosen: Sequence[int],
    rounds: int,
) -> dict[str, float]:
    """The median milliseconds of each way; of no rounds: none."""
    least = {way: np.full(len(chosen), np.inf) for way in WAYS}
    for _ in range(rounds):
        for at, i in enumerate(chosen):
            for way, times in least.items():
                cost = timed(answers, db, way, collection, queries, [i])
                times[at] = min(times[at], cost.ms)
    return {way: float(np.median(times)) for way, times in least.items()} if rounds else {}


def rows(
    name: str, folder: str, bits: int, stem: str | None, most: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each way."""
    collection, vectors = load_collection(name), load_vectors(name)
    count = len(collection.queries)
    chosen = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
    ids = [collection.query_ids[i] for i in chosen]
    made = []
    with searchable(Path(folder) / f"{name}.mvdb", collection, vectors, bits, stem) as db:
        queries = vectors.queries()
        p50 = medians(db, collection, queries, chosen[:MAX_TIMED], rounds)
        for way in WAYS:
            found = answers(db, way, collection, queries, chosen)
            judged, odd = (
                {one: collection.qrels[one] for one in part} for part in (ids, ids[1::2])
            )
            made.append(
                {
                    "way": way,
                    "nDCG@10": ndcg_at(K, found, judged),
                    "of odd queries": ndcg_at(K, found, odd),
                }
            )
            if p50:
                made[-1]["p50 ms"] = p50[way]
                made[-1]["of the sum"] = p50[way] / (p50["MaxSim"] + p50["BM25"])
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=COLLECTIONS)
    options.add_argument("--bits", type=int, default=2)
    options.add_argument("--stem", help="language of the stemmer (default: none)")
    options.add_argument("--queries", type=int, default=MAX_QUERIES, help="at most")
    options.add_argument("--rounds", type=int, default=0, help="of timing")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for name in chosen.collections:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            made = rows(name, folder, chosen.bits, chosen.stem, chosen.queries, chosen.rounds)
            points.add(name, *made)
        points.show()


if __name__ == "__main__":
    main()
