"""A program that uses a file, with an eye on itself: ``python -m tests.corrupt.consume NAME FILE``.

Prints what was refused, and as its last line, in JSON, the bytes of its peak beyond those after
importing mvdb, the seconds of processor time in all, and those of the longest call."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import mvdb


def peak() -> int:
    """Greatest resident memory so far, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) << 10


def everything(path: str) -> Iterator[Callable[[], object]]:
    """Every kind of call."""
    with mvdb.open(path, background=False) as db:
        query = np.ones((3, db.dim), np.float32)
        names = list(db.ids())
        yield lambda: db.search(query, 3)
        yield lambda: db.search(query, 3, filter={"a": 1})
        yield lambda: [(hit.text, hit.metadata) for hit in db.search(query, 3)]
        yield lambda: db.rerank(query, names[:100])
        yield lambda: db.explain(query, names[0])
        yield lambda: db.vectors(names[:100])
        yield lambda: db.get(names[0])
        yield lambda: [None for _ in db.documents(limit=3)]
        yield lambda: [None for _ in db.documents(order_by="a", limit=3)]
        yield lambda: db.facets("a", limit=3)
        yield lambda: sum(1 for _ in db.ids({"a": 1}))
        yield lambda: db.update(names[:100], metadata={"b": 1})
        yield lambda: db.stats()
        yield lambda: db.verify()
        yield lambda: db.insert("one more", query)
        yield lambda: db.optimize()


def verify(path: str) -> Iterator[Callable[[], object]]:
    """Verification; prints the problems."""
    with mvdb.open(path, readonly=True) as db:
        yield lambda: print(db.verify().problems)


def main(name: str, path: str) -> None:
    """Makes the calls."""
    base, begin = peak(), time.process_time()
    seconds = []
    calls: Iterator[Callable[[], object] | None] = globals()[name](path)
    done = False
    while not done:
        start = time.process_time()
        try:
            call = next(calls, None)  # opens the file before the first, closes it after the last
            done = call is None
            if call is not None:
                call()
        except mvdb.Error as error:
            print(type(error).__name__, str(error)[:200])
        seconds.append(time.process_time() - start)
    used = {"used": peak() - base, "seconds": time.process_time() - begin, "longest": max(seconds)}
    print(json.dumps(used))


if __name__ == "__main__":
    main(*sys.argv[1:])
