"""How large and how fast is the term index, and does it find what exhaustive BM25 finds?

    python -m bench.lexical --collection wiki-200k
    python -m bench.lexical --collection nfcorpus --peers bm25s

Indexes the texts of a collection by their words, without vectors and without a file, and asks the
collection's queries, cut to 2..6 distinct words (``--seed``), for their ten best. One thread. Each
query is asked of all engines in turn, ``--rounds`` times; *p50 ms* and *p95 ms* are over the
queries, each with its least time. *% of texts* is the index's size over the bytes of the texts.
*overlap@10* is the share of the ten best by exhaustive BM25 (the scores of all rows); *ndcg@10* is
of the whole queries, ``--judged`` of them.

Engines beside it: ``fts5`` (SQLite's, ``order by rank``), ``tantivy`` and ``bm25s``
(``method="lucene"`` with mvdb's own tokens: the reference for nDCG@10). The first two have
tokenisers of their own. Packages that are not installed are left out."""

from __future__ import annotations

import importlib.util
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.corpora import Collection, load_collection
from bench.metrics import ndcg_at, overlap_at
from bench.points import Points, parser
from mvdb import core
from mvdb.lexical.bm25 import word_query
from mvdb.lexical.term_index import TermIndex, TermIndexWriter
from mvdb.lexical.tokeniser import fold

K = 10
PEERS = ("fts5", "tantivy", "bm25s")
Asked = Callable[[str], list[int]]
"""The ten best documents of a query."""


def words_of(text: str) -> list[bytes]:
    """The terms of a text, in order."""
    return [term for term, *_ in core.tokenise(fold(text).encode())]


class Extents:
    """Extents in memory."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = [memoryview(body) for body in bodies]

    def open(self, _: Any) -> None:
        """They are."""


class Terms:
    """The term index of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            writer = TermIndexWriter(folder, memory=1 << 28)
            for text in texts:
                writer.add_text(fold(text).encode())
            extents = list(writer.extents())
            directory = writer.directory()
            writer.close()
        self.size = len(directory) + sum(map(len, extents))
        self.index = TermIndex(memoryview(directory), lambda _: Extents(extents), "index")
        self._views = core.TermList([self.index.view])
        self._all = core.Bitmaps([None])
        self._places = np.zeros(len(texts), core.PLACE)
        self._places["document"] = np.arange(len(texts))

    def ask(self, query: str) -> list[int]:
        """By MaxScore."""
        words = word_query([self.index], dict.fromkeys(words_of(query), 1.0))
        places, _ = words.best(self._views, self._all, K)
        return [int(row) for row in places["document"]]

    def exhaustive(self, query: str) -> list[int]:
        """By the scores of all rows."""
        words = word_query([self.index], dict.fromkeys(words_of(query), 1.0))
        scores = words.score(self._views, self._places)
        best = np.argsort(-scores, kind="stable")[:K]
        return [int(row) for row in best if scores[row] > 0]


def fts5(texts: Sequence[str], folder: str) -> tuple[Asked, int]:
    """SQLite's full text search, without a copy of the texts."""
    path = Path(folder) / "fts5.db"
    db = sqlite3.connect(path)
    db.execute("create virtual table texts using fts5(body, content='')")
    db.executemany("insert into texts(rowid, body) values (?, ?)", enumerate(texts))
    db.execute("insert into texts(texts) values ('optimize')")
    db.commit()
    statement = f"select rowid from texts where texts match ? order by rank limit {K}"

    def ask(query: str) -> list[int]:
        words = " OR ".join(f'"{word}"' for word in query.replace('"', " ").split())
        return [row for (row,) in db.execute(statement, (words,))]

    return ask, path.stat().st_size


def tantivy(texts: Sequence[str], folder: str) -> tuple[Asked, int]:
    """Tantivy, one thread, without positions and without a copy of the texts."""
    module = importlib.import_module("tantivy")
    builder = module.SchemaBuilder()
    builder.add_text_field("body", stored=False, index_option="freq")
    builder.add_integer_field("row", stored=True)
    index = module.Index(builder.build(), path=folder)
    writer = index.writer(200_000_000, 1)
    for row, text in enumerate(texts):
        writer.add_document(module.Document(body=text, row=row))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def ask(query: str) -> list[int]:
        letters = "".join(c if c.isalnum() else " " for c in query)
        parsed = index.parse_query(letters, ["body"])
        hits = searcher.search(parsed, K, count=False).hits
        return [searcher.doc(address)["row"][0] for _, address in hits]

    return ask, sum(path.stat().st_size for path in Path(folder).iterdir())


def bm25s(texts: Sequence[str], _: str) -> tuple[Asked, int]:
    """The reference: the same tokens, scores of all documents."""
    module = importlib.import_module("bm25s")
    retriever = module.BM25(method="lucene", k1=1.2, b=0.75)
    tokens = [[term.decode("latin1") for term in words_of(text)] for text in texts]
    retriever.index(tokens, show_progress=False)

    def ask(query: str) -> list[int]:
        words = [word.decode("latin1") for word in dict.fromkeys(words_of(query))]
        rows, scores = retriever.retrieve([words], k=K, show_progress=False)
        return [int(row) for row, score in zip(rows[0], scores[0], strict=True) if score > 0]

    return ask, sum(array.nbytes for array in retriever.scores.values() if hasattr(array, "nbytes"))


def cut(queries: Sequence[str], seed: int, limit: int) -> list[str]:
    """Queries of 2..6 distinct words."""
    draw = random.Random(seed)
    result = []
    for query in draw.sample(list(queries), min(limit, len(queries))):
        words = list(dict.fromkeys("".join(c if c.isalnum() else " " for c in query).split()))
        if len(words) >= 2:
            result.append(" ".join(words[: draw.randint(2, 6)]))
    return result


def least_times(engines: dict[str, Asked], queries: Sequence[str], rounds: int) -> dict[str, Any]:
    """For each engine the least time of each query, in ms."""
    times = {name: np.full(len(queries), np.inf) for name in engines}
    for _ in range(rounds):
        for at, query in enumerate(queries):
            for name, ask in engines.items():
                begin = time.perf_counter()
                ask(query)
                spent = 1000 * (time.perf_counter() - begin)
                times[name][at] = min(times[name][at], spent)
    return times


def quality(ask: Asked, collection: Collection, n: int) -> float:
    """nDCG@10 of the first n whole queries."""
    judged = list(zip(collection.query_ids, collection.queries, strict=True))[:n]
    found = {query_id: [collection.ids[row] for row in ask(query)] for query_id, query in judged}
    return ndcg_at(K, found, {query_id: collection.qrels[query_id] for query_id, _ in judged})


def main(given: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    arguments = parser(__doc__)
    arguments.add_argument("--collection", default="wiki-200k")
    arguments.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--judged", type=int, default=400)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args(given)
    collection = load_collection(options.collection)
    texts, n_bytes = collection.texts, sum(len(text.encode()) for text in collection.texts)
    queries = cut(collection.queries, options.seed, options.queries)
    begin = time.perf_counter()
    terms = Terms(texts)
    engines: dict[str, Asked] = {"mvdb": terms.ask}
    built = {"mvdb": (time.perf_counter() - begin, terms.size)}
    makers = {"fts5": fts5, "tantivy": tantivy, "bm25s": bm25s}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.peers:
            if name != "fts5" and importlib.util.find_spec(name) is None:
                continue
            (own := Path(folder) / name).mkdir()
            begin = time.perf_counter()
            engines[name], size = makers[name](texts, str(own))
            built[name] = time.perf_counter() - begin, size
        times = least_times(engines, queries, options.rounds)
        exact = [terms.exhaustive(query) for query in queries]
        points = Points(options.results)
        for name, ask in engines.items():
            seconds, size = built[name]
            points.add(
                f"{options.collection}: {len(texts)} documents, {len(queries)} queries",
                {
                    "engine": name,
                    "% of texts": round(100 * size / n_bytes, 1),
                    "build s": round(seconds, 1),
                    "p50 ms": round(float(np.median(times[name])), 3),
                    "p95 ms": round(float(np.percentile(times[name], 95)), 3),
                    "overlap@10": round(overlap_at(K, [ask(q) for q in queries], exact), 3),
                    "ndcg@10": round(quality(ask, collection, options.judged), 4),
                },
            )
        points.show()


if __name__ == "__main__":
    main()
