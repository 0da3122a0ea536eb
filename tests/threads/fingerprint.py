"""What a fixed input becomes: ``python -m tests.threads.fingerprint FILE [CPUS]`` prints it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvdb import core
from mvdb.limits import Limits
from tests.support.model import unit
from tests.support.opening import by_lists, opened


def fingerprint(path: Path) -> dict[str, str]:
    """What a fixed input becomes on these kernels and this number of threads: digests of centroids
    and records, and of ids and bytes of the scores of many searches."""
    rng = np.random.default_rng(12)
    entries = [unit(rng.standard_normal((int(n), 24))) for n in rng.integers(1, 30, 500)]
    result: dict[str, str] = {"isa": core.instruction_set()}
    queries = [unit(rng.standard_normal((int(m), 24))) for m in rng.integers(1, 33, 25)]
    plain = Limits(train_documents=300, extended_at_once=0)
    lists = replace(plain, listed_tokens=1000, cluster_documents=8, growth=1.2)
    for bits, name in ((1, "1"), (2, "2"), (4, "4"), (8, "8"), (16, "16"), (2, "lists")):
        limits = lists if name == "lists" else plain
        limits = by_lists(limits, candidates=30)
        with opened(f"{path}-{name}", limits, dim=24, bits=bits, background=False) as db:
            for at in range(0, len(entries), 100):
                db.insert(list(range(at, at + 100)), entries[at : at + 100])
            stored = hashlib.sha256(b"".join(v.tobytes() for v in db.vectors(list(range(500)))))
            result[f"{name} stored"] = stored.hexdigest()
            found = hashlib.sha256()
            for query in queries:
                for options in ({}, {"candidates": 40}, {"exact": True}):
                    hits = db.search(query, 10, **options)
                    found.update(repr([hit.id for hit in hits]).encode())
                    found.update(np.array([hit.score for hit in hits], np.float32).tobytes())
            result[f"{name} found"] = found.hexdigest()
    return result


if __name__ == "__main__":
    if len(sys.argv) > 2:
        os.cpu_count = lambda: int(sys.argv[2])
    print(json.dumps(fingerprint(Path(sys.argv[1]))))
