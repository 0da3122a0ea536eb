"""What does a search cost for a small tenant among many, beside a file with its documents alone?

    python -m bench.tenants                         # 1,000,000 documents
    python -m bench.tenants --documents 50000 --folder /tmp

Half of the documents belong to tenants of --small documents, half to tenants of a tenth of the
collection (the collections of Curator, arXiv 2401.07119, have this shape). The documents of a
tenant are spread over the whole file: they arrive in a random order. Each has --tokens random
vectors.

--files small tenants, and a large one, are searched in the large file and in files with the
documents of each alone, which do not separate tenants: one after the other with each query, so that
a disturbance meets both. A file of a small tenant has float16 vectors, as any file of so few
documents.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.points import Points, parser

BATCH = 20_000
DIM = 32
QUERY_TOKENS = 16
K = 10

Rows = list[dict[str, Any]]
Owners = NDArray[np.int64]


def owners(documents: int, small: int) -> Owners:
    """The number of each document's tenant. The large ones come first."""
    rng = np.random.default_rng(1)
    half = documents // 2
    large = np.arange(half) // max(1, documents // 10)
    others = large.max() + 1 + np.arange(documents - half) // small
    return rng.permutation(np.concatenate([large, others]))


def vectors(documents: NDArray[np.int64], tokens: int) -> NDArray[np.float32]:
    """The token vectors of documents, which follow from their numbers."""
    made = [np.random.default_rng(number).random((tokens, DIM), np.float32) for number in documents]
    stacked: NDArray[np.float32] = np.stack(made) - np.float32(0.5)
    return stacked


def batches(numbers: NDArray[np.int64], tokens: int, of: Owners | None) -> Iterator[dict[str, Any]]:
    """Documents by number. of: their tenants; None: of a file that does not separate them."""
    for first in range(0, len(numbers), BATCH):
        part = numbers[first : first + BATCH]
        batch = {"ids": part.tolist(), "embeddings": vectors(part, tokens)}
        if of is not None:
            batch["tenant"] = [f"tenant {one}" for one in of[part].tolist()]
        yield batch


def seconds(call: Callable[[], object]) -> float:
    """The time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compared(
    shared: mvdb.Database, alone: dict[int, mvdb.Database], rounds: int
) -> tuple[list[float], list[float]]:
    """Times of the same searches in both files, one after the other."""
    rng = np.random.default_rng(2)
    times: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for tenant, own in alone.items():
            query = rng.standard_normal((QUERY_TOKENS, DIM)).astype(np.float32)
            name = f"tenant {tenant}"
            times[0].append(seconds(lambda: shared.search(query, K, tenant=name)))  # noqa: B023
            times[1].append(seconds(lambda: own.search(query, K)))  # noqa: B023
    return times


def row(kind: str, sizes: list[int], shared: list[float], alone: list[float]) -> dict[str, Any]:
    """Medians in milliseconds, and their ratio."""
    medians = [1e3 * statistics.median(times) for times in (shared, alone)]
    return {
        "tenant": kind,
        "documents": sizes[0],
        "among_all_ms": medians[0],
        "alone_ms": medians[1],
        "ratio": medians[0] / medians[1],
    }


def measured(folder: Path, chosen: Any) -> Iterator[tuple[str, Rows]]:
    """Titles and rows."""
    of = owners(chosen.documents, chosen.small)
    everything = np.arange(chosen.documents)
    path = folder / "tenants.mvdb"
    options: dict[str, Any] = {"dim": DIM, "durability": "relaxed", "background": False}
    with mvdb.open(path, tenants=True, **options) as db:
        spent = seconds(lambda: db.insert_batches(batches(everything, chosen.tokens, of)))
        spent += seconds(db.optimize)
        segments = db.stats().segments
    small = (of.max() - np.arange(chosen.files)).tolist()
    with ExitStack() as stack:
        files: dict[int, mvdb.Database] = {}
        for tenant in [0, *small]:
            file = mvdb.open(folder / f"{tenant}.mvdb", **options)
            files[tenant] = stack.enter_context(file)
            file.insert_batches(batches(np.flatnonzero(of == tenant), chosen.tokens, None))
            file.optimize()
        shared = stack.enter_context(mvdb.open(path, background=False))
        query = np.ones((QUERY_TOKENS, DIM), np.float32)
        first = seconds(lambda: shared.search(query, K, tenant="tenant 0"))
        second = seconds(lambda: shared.search(query, K, tenant=f"tenant {small[0]}"))
        searches = []
        for kind, tenants in (("small", small), ("large", [0])):
            alone = {tenant: files[tenant] for tenant in tenants}
            compared(shared, alone, 2)
            times = compared(shared, alone, chosen.rounds)
            searches.append(row(kind, list(map(len, alone.values())), *times))
        yield f"searches, {chosen.documents:,} documents, {segments} segments", searches
        calls = {
            "insert and optimize": spent,
            "first search after opening": first,
            "first search of a tenant": second,
            "tenants()": seconds(shared.tenants),
            "count(tenant), small": seconds(lambda: shared.count(tenant=f"tenant {small[0]}")),
            "delete_tenant, small": seconds(lambda: shared.delete_tenant(f"tenant {small[0]}")),
            "search after it": seconds(lambda: shared.search(query, K, tenant="tenant 0")),
        }
        yield "other calls", [{"call": one, "ms": 1e3 * time} for one, time in calls.items()]


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--documents", type=int, default=1_000_000)
    options.add_argument("--small", type=int, default=100)
    options.add_argument("--tokens", type=int, default=8)
    options.add_argument("--files", type=int, default=20)
    options.add_argument("--rounds", type=int, default=20)
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for title, rows in measured(Path(folder), chosen):
            points.add(title, *rows)
            points.show()


if __name__ == "__main__":
    main()
