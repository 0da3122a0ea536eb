"""How good is each way to find? Through the public API.

    python -m bench.hybrid                               # four collections
    python -m bench.hybrid scifact --stem english --queries 300

nDCG@10 of MaxSim alone, BM25 alone, reciprocal rank fusion and the default search of a file with
token vectors and texts; over all queries, and over those with odd numbers: the constants of the
default were chosen on the even ones.
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
from bench.truth import K
from bench.vectors import Vectors, load_vectors

COLLECTIONS = ("nfcorpus", "scifact", "cranfield", "squad-dev-plus")
MAX_QUERIES = 1000
"""Of larger sets as many are drawn evenly: sets may be ordered by topic."""
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


def rows(name: str, folder: str, bits: int, stem: str | None, most: int) -> list[dict[str, Any]]:
    """A row for each way."""
    collection, vectors = load_collection(name), load_vectors(name)
    count = len(collection.queries)
    chosen = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
    ids = [collection.query_ids[i] for i in chosen]
    made = []
    with searchable(Path(folder) / f"{name}.mvdb", collection, vectors, bits, stem) as db:
        for way in WAYS:
            found = answers(db, way, collection, vectors.queries(), chosen)
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
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=COLLECTIONS)
    options.add_argument("--bits", type=int, default=2)
    options.add_argument("--stem", help="language of the stemmer (default: none)")
    options.add_argument("--queries", type=int, default=MAX_QUERIES, help="at most")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for name in chosen.collections:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            made = rows(name, folder, chosen.bits, chosen.stem, chosen.queries)
            points.add(name, *made)
        points.show()


if __name__ == "__main__":
    main()
