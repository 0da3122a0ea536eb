"""What does `stats()` cost on a large file of which nothing is in memory?

    python -m bench.stats --gb 1

Makes a file of random documents (128 dimensions, 2 bits, 120 tokens, a text of 400 characters and
metadata each) unless `--database` names one, as streaming leaves it: not optimised, not compacted.
Then, in rounds, drops the file from the page cache (mincore confirms that nothing is left) and
times one call of `stats()` of an open database that has not been used, the first time and again.
*read KB* is what the process had the device read, *open ms* the opening before; times are medians
where they are not the least or worst. *bytes off* is the largest difference of a part from what
reading every value gives, as a share of the file. Linux only."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench import device, pagecache
from bench.points import Points, parser
from bench.processes import call
from mvdb.segment.layout import Part
from mvdb.storage.environment import Environment

DIM, TOKENS, BATCH = 128, 120, 2000
WORDS = 20_000


def batches(limit: Path, size: int, batch: int) -> Iterator[dict[str, Any]]:
    """Random documents until the file has its size: alike in groups, as documents are."""
    rng = np.random.default_rng(1)
    words = ["".join(map(chr, rng.integers(97, 123, rng.integers(2, 11)))) for _ in range(WORDS)]
    topics = rng.standard_normal((4096, DIM)).astype(np.float32)
    number = 0
    while not limit.exists() or limit.stat().st_size < size:
        chosen = topics[rng.integers(0, len(topics), batch * TOKENS)]
        flat = chosen + 0.7 * rng.standard_normal(chosen.shape, dtype=np.float32)
        names = list(range(number, number + batch))
        yield {
            "ids": [f"document {name}" for name in names],
            "embeddings": (flat, [TOKENS] * batch),
            "texts": [" ".join(words[i] for i in rng.zipf(1.2, 60) % WORDS) for _ in names],
            "metadata": [{"n": n, "kind": f"k{n % 7}", "path": f"f/{n // 30}.md"} for n in names],
        }
        number += batch


def make(path: str, gb: float, commit_every: int | None) -> None:
    """Streams documents into a new file of so many gigabytes."""
    with mvdb.open(path, dim=DIM, durability="relaxed") as db:
        made = batches(Path(path), int(gb * 1e9), commit_every or BATCH)
        db.insert_batches(made, commit_every=commit_every)
    pagecache.sync(path)


def measure(path: str) -> dict[str, Any]:
    """One cold call, and one after it, in a process that has done nothing else."""
    pagecache.drop(path)
    start = time.perf_counter()
    with mvdb.open(path, readonly=True) as db:
        opened = time.perf_counter() - start
        pagecache.drop(path)
        before, start = device.reads_so_far(path), time.perf_counter()
        db.stats()
        first = time.perf_counter() - start
        read = device.reads_so_far(path).since(before)
        start = time.perf_counter()
        found = db.stats()
        again = time.perf_counter() - start
    return {
        "open ms": opened * 1e3,
        "cold ms": first * 1e3,
        "again ms": again * 1e3,
        "read KB": read.bytes / 1e3,
        "segments": found.segments,
        "documents": found.documents,
        "parts": dict(found.bytes),
    }


def counted(path: str) -> dict[str, int]:
    """The bytes of the parts of segments by reading every value."""
    sizes = {part.name.lower(): 0 for part in Part}
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        for key, value in txn.iterate("segments"):
            sizes[Part(key[8]).name.lower()] += len(value)
    return sizes


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--gb", type=float, default=1.0, help="size of the file that is made")
    options.add_argument("--commit-every", type=int, help="documents (default: the engine's)")
    options.add_argument("--database", help="an existing file instead")
    options.add_argument("--rounds", type=int, default=10)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = chosen.database or os.path.join(folder, "large.mvdb")
        if not os.path.exists(path):
            call(make, path=path, gb=chosen.gb, commit_every=chosen.commit_every)
        size = os.stat(path).st_size
        rounds = [call(measure, path=path) for _ in range(chosen.rounds)]
        exact = call(counted, path=path)
        parts = rounds[0]["parts"]
        points = Points(chosen.results)
        point = {
            name: float(np.median([one[name] for one in rounds]))
            for name in ("open ms", "cold ms", "again ms", "read KB")
        }
        points.add(
            "stats",
            {
                "MB": size / 1e6,
                "documents": rounds[0]["documents"],
                "segments": rounds[0]["segments"],
                **point,
                "least cold ms": min(one["cold ms"] for one in rounds),
                "worst cold ms": max(one["cold ms"] for one in rounds),
                "bytes off": max(abs(parts[name] - exact[name]) for name in exact) / size,
            },
        )
        points.show()


if __name__ == "__main__":
    main()
