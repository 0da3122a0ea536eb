"""What does a filter cost? Build and size of a column index, and the time of typical filters.

python -m bench.filters --documents 50000
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

from mvdb.documents.metadata import dumps, validate_metadata
from mvdb.filters.columns import Builder, ColumnIndex, Columns
from mvdb.filters.evaluate import evaluate
from mvdb.filters.language import parse


def collection(n_documents: int) -> list[dict[str, Any]]:
    """Five fields as they are met: a year, a language, a flag, a price and a unique title."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(2000)]
    return [
        {
            "year": chance.randrange(1990, 2026),
            "lang": chance.choice(["en", "de", "fr", "ja", "zh"]),
            "draft": chance.random() < 0.1,
            "price": round(chance.uniform(0, 1000), 2),
            "title": f"{' '.join(chance.choices(words, k=4))} {row}",
        }
        for row in range(n_documents)
    ]


def filters(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    titles = [document["title"] for document in documents]
    return {
        "$eq string, few values": {"lang": "en"},
        "$eq string, unique": {"title": titles[len(titles) // 2]},
        "$eq float": {"price": documents[0]["price"]},
        "range int, few values": {"year": {"$gte": 2010, "$lt": 2020}},
        "range float, 1 %": {"price": {"$gte": 100, "$lt": 110}},
        "range float, half": {"price": {"$gte": 500}},
        "bool": {"draft": False},
        "and of three": {"lang": "en", "year": {"$gte": 2020}, "price": {"$lt": 100}},
        "$ne": {"lang": {"$ne": "en"}},
        "$in of 1000 strings": {"title": {"$in": titles[:1000]}},
        "$in of 1000 numbers": {"price": {"$in": [d["price"] for d in documents[:1000]]}},
        "$contains substring": {"title": {"$contains": "word17 "}},
    }


def seconds(call: Any) -> float:
    """The median of calls within about a fifth of a second."""
    times: list[float] = []
    end = time.perf_counter() + 0.2
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--documents", type=int, default=50_000)
    n_documents = options.parse_args(arguments).documents
    documents = collection(n_documents)
    start = time.perf_counter()
    for document in documents:
        validate_metadata(document)
    validated = time.perf_counter()
    builder = Builder()
    for document in documents:
        builder.add(document)
    blobs = builder.build()
    built = time.perf_counter()
    json_size = sum(len(dumps(document)) for document in documents)
    print(f"documents                {n_documents}")
    print(f"validate                 {1e6 * (validated - start) / n_documents:8.2f} us/document")
    print(f"build                    {1e6 * (built - validated) / n_documents:8.2f} us/document")
    print(f"index                    {sum(map(len, blobs)) / n_documents:8.2f} bytes/document")
    print(f"  of it per blob         {[round(len(blob) / n_documents, 2) for blob in blobs]}")
    print(f"metadata as JSON         {json_size / n_documents:8.2f} bytes/document")

    def opened() -> Columns:
        return Columns(ColumnIndex(n_documents, blobs[0]), blobs.__getitem__)

    columns = opened()
    start = time.perf_counter()
    columns.verify()
    print(f"verify                   {1e3 * (time.perf_counter() - start):8.2f} ms")
    for name, filter in filters(documents).items():
        node = parse(filter)
        found = int(evaluate(node, columns).sum())
        warm = seconds(lambda node=node: evaluate(node, columns))
        cold = seconds(lambda node=node: evaluate(node, opened()))
        print(f"{name:24} {1e3 * warm:8.3f} ms, newly opened {1e3 * cold:8.3f} ms, {found} found")


if __name__ == "__main__":
    main()
