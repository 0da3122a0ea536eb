"""What do the questions without a query cost, and a change of metadata?

    python -m bench.browsing                       # 200,000 documents
    python -m bench.browsing --documents 50000 --folder /tmp

The documents have --tokens random vectors each and the metadata of `bench.filters`. One process,
warm: the columns that a call names are kept. Medians; "new filter" is another one in each call, the
others are repeated. Writes are a commit each; a sync is part of it with durability "full".
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench.filters import collection
from bench.points import Points, parser

BATCH = 10_000
DIM = 64
ROUNDS = 30

Rows = list[dict[str, Any]]


def batches(documents: list[dict[str, Any]], tokens: int) -> Iterator[dict[str, Any]]:
    """Documents 0, 1, ... with random vectors."""
    rng = np.random.default_rng(1)
    for first in range(0, len(documents), BATCH):
        part = documents[first : first + BATCH]
        yield {
            "ids": list(range(first, first + len(part))),
            "embeddings": rng.standard_normal((len(part), tokens, DIM), np.float32),
            "texts": [document["title"] for document in part],
            "metadata": part,
        }


def milliseconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time of a call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def reads(db: mvdb.Database) -> Rows:
    """Counts, facets and lists."""
    year = {"year": {"$gte": 2010, "$lt": 2020}}
    prices = iter(np.linspace(0, 1000, 10 * ROUNDS).tolist())
    calls: dict[str, Callable[[], object]] = {
        "count(year range)": lambda: db.count(year),
        "count(price range), new filter": lambda: db.count({"price": {"$gte": next(prices)}}),
        "facets(lang)": lambda: db.facets("lang"),
        "facets(year)": lambda: db.facets("year"),
        "facets(lang, year range)": lambda: db.facets("lang", filter=year),
        "facets(lang, price range), new filter": lambda: db.facets(
            "lang", filter={"price": {"$gte": next(prices)}}
        ),
        "facets(price), up to 100,000 values": lambda: db.facets("price"),
        "facets(title), all distinct": lambda: db.facets("title"),
        "ids(one title)": lambda: list(db.ids({"title": {"$contains": " 777"}})),
        "first 20 documents": lambda: list(db.documents(limit=20)),
        "first 20 of a year range": lambda: list(db.documents(year, limit=20)),
        "20 by year": lambda: list(db.documents(order_by="year", limit=20)),
        "20 by price of a year range": lambda: list(
            db.documents(year, order_by="price", descending=True, limit=20)
        ),
        "10,000 documents by id": lambda: sum(1 for _ in islice(db.documents(), 10_000)),
        "10,000 documents by price": lambda: sum(
            1 for _ in islice(db.documents(order_by="price"), 10_000)
        ),
    }
    segments = db.stats().segments
    rows = []
    for name, call in calls.items():
        call()
        rows.append(
            {
                "call": name,
                "segments": segments,
                "ms": milliseconds(call, 3 if name.startswith("10,000") else ROUNDS),
            }
        )
    return rows


def writes(path: Path, n_documents: int, durability: str) -> Rows:
    """Changes of documents that were not changed before, one a commit."""
    names = iter(random.Random(2).sample(range(n_documents // 10, n_documents), 4 * ROUNDS))
    with mvdb.open(path, durability=durability, background=False) as db:
        db.update(0, metadata={"seen": True}, merge=True)  # opens the segments
        calls: dict[str, Callable[[], object]] = {
            "update, one document": lambda: db.update(next(names), metadata={"year": 1}),
            "update, merged": lambda: db.update(next(names), metadata={"seen": True}, merge=True),
            "delete, one document": lambda: db.delete(next(names)),
        }
        rows: Rows = [
            {"call": name, "durability": durability, "ms": milliseconds(call)}
            for name, call in calls.items()
        ]
        many = list(range(n_documents // 10))
        start = time.perf_counter()
        db.update(many, metadata={"seen": True}, merge=True)
        spent = 1e3 * (time.perf_counter() - start)
        change = f"update of {len(many):,}, a document"
        rows.append({"call": change, "durability": durability, "ms": spent / len(many)})
    return rows


def tables(folder: Path, n_documents: int, tokens: int) -> Iterator[tuple[str, Rows]]:
    """Titles and rows."""
    path = folder / "browsing.mvdb"
    with mvdb.open(path, dim=DIM, durability="relaxed", background=False) as db:
        db.insert_batches(batches(collection(n_documents), tokens))
        db.optimize()
        yield f"reads, {n_documents:,} documents", reads(db)
    copy = folder / "copy.mvdb"
    for durability in ("relaxed", "full"):
        shutil.copyfile(path, copy)
        yield f"writes, {n_documents:,} documents", writes(copy, n_documents, durability)
    with mvdb.open(copy, background=False) as db:
        yield f"reads after them, {n_documents:,} documents", reads(db)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--documents", type=int, default=200_000)
    options.add_argument("--tokens", type=int, default=8)
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for title, rows in tables(Path(folder), chosen.documents, chosen.tokens):
            points.add(title, *rows)
            points.show()


if __name__ == "__main__":
    main()
