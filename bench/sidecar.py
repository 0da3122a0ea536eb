"""What does a search cost an application beside `mvdb serve --stdio`?

    python -m bench.sidecar                              # nfcorpus, wiki-50k
    python -m bench.sidecar nfcorpus --queries 100

A database of token vectors and texts is searched by text, for ten hits with text, metadata and
highlights, in turn by an application through the process (*served*), and within this process
(*called*). *default encoder* is false where a stand-in gives vectors that were encoded before: the
figures are then those of the engine and of the lines, without the encoder.

*p0*: the least, which other work on the machine disturbs least. *cpu ms*: of the processor for a
search, in all threads, of *served* in both processes. *start s*: from the start of the process to
its first answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.corpora import load_collection
from bench.hybrid import searchable
from bench.points import Points, parser
from bench.timing import timed
from bench.truth import K
from bench.vectors import DIM, load_vectors
from mvdb.encoders import DEFAULT_NAME, Encoder

_VARIABLE = "MVDB_BENCH_COLLECTION"
_WARM = 20
"""Queries before the measurement."""


class StandIn:
    """Gives the vectors of a collection's queries that were encoded before."""

    dim = DIM
    name = "stand-in"

    def __init__(self, collection: str) -> None:
        vectors, texts = load_vectors(collection), load_collection(collection)
        by_id = dict(zip(vectors.query_ids, vectors.queries(), strict=True))
        ids = zip(texts.query_ids, texts.queries, strict=True)
        self._vectors = {text: by_id[id] for id, text in ids}

    def encode_documents(self, texts: Sequence[str], /) -> Sequence[NDArray[Any]]:
        raise NotImplementedError("documents come with vectors here")

    def encode_queries(self, texts: Sequence[str], /) -> Sequence[NDArray[Any]]:
        return [self._vectors[text] for text in texts]


def stand_in() -> StandIn:
    """For ``--encoder bench.sidecar:stand_in``."""
    return StandIn(os.environ[_VARIABLE])


class Sidecar:
    """The process, asked as an application asks it."""

    def __init__(self, file: Path, encoder: str) -> None:
        command = ["serve", str(file), "--stdio", "--readonly", "--encoder", encoder]
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mvdb", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.ask("count")
        self.start_seconds = time.perf_counter() - started

    def ask(self, method: str, **params: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"id": 1, "method": method, "params": params}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["result"]

    def cpu_seconds(self) -> float:
        """Of the processor, that the process took so far."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.communicate()


def measure(name: str, folder: Path, queries: int, encoder: Encoder, choice: str) -> dict[str, Any]:
    """One row of the table."""
    collection, vectors = load_collection(name), load_vectors(name)
    file = folder / f"{name}.mvdb"
    with searchable(file, collection, vectors, 2, None) as db:
        db.optimize()
    asked = [collection.queries[place % len(collection.queries)] for place in range(queries)]
    sidecar = Sidecar(file, choice)
    served, called = [], []
    with mvdb.open(file, readonly=True, encoder=encoder) as db:

        def call(query: str) -> list[dict[str, Any]]:
            return [hit.to_dict() for hit in db.search(query, K)]

        def serve(query: str) -> Any:
            return sidecar.ask("search", query=query, k=K)

        for query in asked[:_WARM]:
            assert json.loads(json.dumps(call(query))) == serve(query), query
        before = sidecar.cpu_seconds()
        for query in asked:
            called.append(timed(call, query))
            served.append(timed(serve, query))
        cpu = sum(cost.cpu_ms for cost in served) + (sidecar.cpu_seconds() - before) * 1e3
    sidecar.close()
    row: dict[str, Any] = {"collection": name, "documents": len(vectors), "queries": queries}
    for title, values in (("called", called), ("served", served)):
        for share in (0, 50, 95):
            row[f"{title} p{share} ms"] = float(np.percentile([one.ms for one in values], share))
    row["called cpu ms"] = sum(cost.cpu_ms for cost in called) / queries
    row["served cpu ms"] = cpu / queries
    return {**row, "start s": sidecar.start_seconds}


def main(arguments: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("collections", nargs="*", default=["nfcorpus", "wiki-50k"])
    made.add_argument("--queries", type=int, default=300, help="default 300")
    help = "encode the queries with the default encoder"
    made.add_argument("--default-encoder", action="store_true", help=help)
    chosen = made.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for name in chosen.collections:
            os.environ[_VARIABLE] = name
            if chosen.default_encoder:
                from mvdb import encoders

                encoder: Encoder = encoders.default()
                choice = DEFAULT_NAME
            else:
                encoder, choice = stand_in(), "bench.sidecar:stand_in"
            row = measure(name, Path(folder), chosen.queries, encoder, choice)
            points.add("sidecar", {**row, "default encoder": chosen.default_encoder})
    points.show()


if __name__ == "__main__":
    main()
