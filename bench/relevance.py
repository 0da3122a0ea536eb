"""Is "nothing found" told from something found? Questions of one collection asked of another.

    python -m bench.relevance                            # four collections
    python -m bench.relevance scifact cranfield --queries 300 --bits 4
    python -m bench.relevance nfcorpus --sections sizes

- *pairs*: each collection gets its own questions, which it answers, those of every other one, and
  90 queries of random letters, invented words and runs of a keyboard. *ROC*: area under the curve
  by the relevance of the best document by vectors. *recall* and *found*: share of the own and of
  the others' queries with a hit of the least relevance, by vectors; *in words too*: in the search
  that `mvdb search` makes, where numbers and names of a query count as evidence. *precision*: share
  of own ones among the queries with a hit, by vectors, if as many of both are asked.
- *sizes*: the first documents of a collection alone. *level*: score per token of an answer.
  *recall*: of questions with an answer among these documents. *ms*: processor time of measuring.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.corpora import Collection, load_collection
from bench.hybrid import COLLECTIONS, searchable
from bench.points import Points, parser
from bench.timing import timed
from bench.vectors import DIM, load_vectors
from mvdb.cli.commands.search_command import MIN_RELEVANCE

Rows = list[dict[str, Any]]
Asked = list[tuple[NDArray[Any], str]]
"""Queries: vectors and text."""
N_QUERIES = 100
SECTIONS = ("pairs", "sizes")
SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


# ---- queries ----

_RUNS = ("asdf", "qwertz", "qwerty", "jkl", "uiop", "zxcv", "hjkl", "wasd", "yxcvb", "dfgh")
_SYLLABLES = ("ba", "gro", "fli", "nem", "tur", "ka", "spo", "lim", "dra", "vex", "mu", "zin")


def nonsense() -> Collection:
    """90 queries without meaning, made deterministically; one document, because a collection has
    some."""
    rng = random.Random(3)
    queries = []
    for _ in range(30):
        words = range(rng.randint(1, 5))
        queries += [
            " ".join(_letters(rng) for _ in words),
            " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in words),
            " ".join(rng.choice(_RUNS) * rng.randint(1, 2) for _ in words),
        ]
    ids = [f"nonsense {number}" for number in range(len(queries))]
    qrels = {name: {"none": 1} for name in ids}
    return Collection("nonsense", ["none"], ["none"], ids, queries, qrels)


def _letters(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9)))


def asked(collection: Collection, most: int, documents: int | None = None) -> Asked:
    """At most so many of the questions, drawn evenly. documents: only questions that have an answer
    among so many first documents."""
    known = set(collection.ids[:documents])
    fitting = [
        number
        for number, name in enumerate(collection.query_ids)
        if any(grade > 0 and one in known for one, grade in collection.qrels[name].items())
    ]
    places = np.linspace(0, len(fitting) - 1, min(len(fitting), most)).astype(int).tolist()
    vectors = load_vectors(collection).queries()
    return [(vectors[fitting[i]], collection.queries[fitting[i]]) for i in places]


# ---- measures ----


def best(db: mvdb.Database, queries: Asked) -> list[float]:
    """The relevance of the best document by vectors, for each query."""
    found = db.search_batch([vectors for vectors, _ in queries], 1, min_relevance=0.0)
    return [hits[0].relevance or 0.0 for hits in found]


def share(values: Sequence[float], least: float) -> float:
    """The share of values that reach the least one."""
    return sum(value >= least for value in values) / len(values)


def found(db: mvdb.Database, queries: Asked, least: float) -> float:
    """Share of the queries with a hit in a search by words and vectors."""
    hits = [db.search(vectors, 1, text=text, min_relevance=least) for vectors, text in queries]
    return sum(map(bool, hits)) / len(hits)


def area(own: Sequence[float], others: Sequence[float]) -> float:
    """Area under the ROC curve: the share of pairs in which the own value is greater (Hanley and
    McNeil, Radiology 143, 1982); equal ones count half."""
    own_values, other_values = np.array(own)[:, None], np.array(others)[None]
    return float((own_values > other_values).mean() + 0.5 * (own_values == other_values).mean())


# ---- sections ----


def pairs(name: str, sets: dict[str, Asked], path: Path, bits: int, least: float) -> Rows:
    """Rows for the documents of a collection, one for each set of queries but its own."""
    rows = []
    with searchable(path, load_collection(name), load_vectors(name), bits, None) as db:
        own = best(db, sets[name])
        recall, recall_too = share(own, least), found(db, sets[name], least)
        for other, queries in sets.items():
            if other == name:
                continue
            others = best(db, queries)
            wrong = share(others, least)
            row = {
                "documents": name,
                "queries": other,
                "ROC": area(own, others),
                "recall": recall,
                "found": wrong,
                "precision": recall / (recall + wrong) if recall + wrong else None,
                "recall, in words too": recall_too,
                "found, in words too": found(db, queries, least),
            }
            rows.append(row)
    return rows


def sizes(
    name: str, strange: Asked, folder: Path, bits: int, least: float, most: int
) -> Iterator[dict[str, Any]]:
    """A row for each number of documents."""
    collection, vectors = load_collection(name), load_vectors(name)
    for count in (size for size in SIZES if size <= len(vectors)):
        path = folder / f"{name}-{count}.mvdb"
        with mvdb.open(path, dim=DIM, bits=bits, background=False) as db:
            vectors.insert(db, 0, count)
            # Where the insertion has trained centroids, it has measured the level too.
            measured = db.stats().relevance_level is not None
            cost = None if measured else timed(db.optimize).cpu_ms
            own = asked(collection, most, count)
            yield {
                "documents": count,
                "level": db.stats().relevance_level,
                "questions": len(own),
                "recall": share(best(db, own), least) if own else None,
                "nonsense found": share(best(db, strange), least),
                "cpu ms": cost,
            }


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=COLLECTIONS)
    options.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options.add_argument("--bits", type=int, default=2)
    options.add_argument("--queries", type=int, default=N_QUERIES, help="of a collection, at most")
    options.add_argument("--least", type=float, default=MIN_RELEVANCE, help="least relevance")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    sets = {name: asked(load_collection(name), chosen.queries) for name in chosen.collections}
    sets["nonsense"] = asked(nonsense(), N_QUERIES)
    for name in chosen.collections:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            rest = chosen.bits, chosen.least
            if "pairs" in chosen.sections:
                path = Path(folder) / f"{name}.mvdb"
                points.add("pairs", *pairs(name, sets, path, *rest))
            if "sizes" in chosen.sections:
                made = sizes(name, sets["nonsense"], Path(folder), *rest, chosen.queries)
                points.add(f"sizes of {name}", *made)
    points.show()


if __name__ == "__main__":
    main()
