"""The collection that readers and a writer share: each state tells its version.

Every document of a state carries the same version, in its text, its metadata and its vectors, and
each state has as many documents as its version says. So one answer shows whether it comes from one
committed state, and from which.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import numpy as np

import mvdb
from mvdb.api.readable import Readable
from tests.support.model import Floats
from tests.support.patience import PATIENCE

DIM = 8
BATCH = 24
"""Documents of a state with an even version; an odd one has BATCH // 2."""


def size_of(version: int) -> int:
    """Documents of the state with this version."""
    return BATCH if version % 2 == 0 else BATCH // 2


def vectors_of(version: int, count: int) -> list[Floats]:
    """Document vectors that tell the version: all of a state have one direction."""
    direction = np.zeros((1, DIM), np.float32)
    direction[0, version % DIM] = 1
    return [np.repeat(direction, 1 + i % 3, axis=0) for i in range(count)]


def write_version(db: mvdb.Database, version: int) -> None:
    """One commit that replaces all documents, in several calls."""
    count = size_of(version)
    names = list(range(count))
    half = count // 2
    vectors = vectors_of(version, count)
    texts = [str(version)] * count
    fields = [{"version": version, "even": version % 2 == 0}] * count
    with db.transaction() as txn:
        txn.upsert(names[:half], vectors[:half], texts=texts[:half], metadata=fields[:half])
        if version % 3 == 0:
            txn.search(np.ones((1, DIM), np.float32), 1)
        txn.upsert(names[half:], vectors[half:], texts=texts[half:], metadata=fields[half:])
        txn.delete(list(range(count, BATCH)))


def read_version(db: Readable, kind: int) -> int:
    """Reads in one of several ways; the version seen. AssertionError if it is not one state."""
    query = np.eye(DIM, dtype=np.float32)
    if kind == 0:
        hits = db.search(query, BATCH + 5)
        # All have one direction, so all scores are equal, or two states are mixed.
        scores = {round(hit.score, 3) for hit in hits}
        assert len(scores) == 1, f"scores of two states: {scores}"
        return -len(hits)
    if kind == 1:
        documents = [document for document in db.get(list(range(BATCH))) if document is not None]
        versions = {document.text for document in documents}
        assert len(versions) == 1, f"documents of two states: {versions}"
        version = int(versions.pop() or -1)
        assert len(documents) == size_of(version), f"{len(documents)} documents, {version}"
        assert {(document.metadata or {})["version"] for document in documents} == {version}
        return version
    if kind == 2:
        even, odd = (len(db.search(query, BATCH, filter={"even": flag})) for flag in (True, False))
        # Two calls may see two states; each sees all of one or nothing.
        assert even in (0, BATCH), f"half a state: {even}, {odd}"
        assert odd in (0, BATCH // 2), f"half a state: {even}, {odd}"
        return 0
    if kind == 3:
        with_one = db.search_batch([query, query[:3], query], BATCH, threads=2)
        assert len({len(hits) for hits in with_one}) == 1, "a batch over two states"
        return -len(with_one[0])
    matrices = db.vectors(list(range(BATCH // 2)))
    directions = {int(np.abs(matrix[0]).argmax()) for matrix in matrices}
    assert len(directions) == 1, f"vectors of two states: {directions}"
    return 0


def read_snapshot(db: mvdb.Database) -> int:
    """Every way of reading within one snapshot: one version, twice the same."""
    with db.snapshot() as snapshot:
        version = read_version(snapshot, 1)
        for kind in (0, 2, 3, 4, 1):
            seen = read_version(snapshot, kind)
            assert seen in (0, version, -size_of(version)), (seen, version)
        matrices = snapshot.vectors([0])
        assert int(np.abs(matrices[0][0]).argmax()) == version % DIM
        assert list(snapshot.ids()) == list(range(size_of(version)))
        return version


def read_for(pipe: Connection, path: str, seconds: float, readonly: bool) -> None:
    """A reader process: reads for a time, and until it has seen a few versions; sends the number of
    reads and the last version, or what was wrong."""
    reads, last = 0, 0
    begin = time.monotonic()
    try:
        with mvdb.open(path, readonly=readonly) as db:
            while (passed := time.monotonic() - begin) < PATIENCE:
                if passed > seconds and reads > 5 and last > 3:
                    break
                version = read_version(db, reads % 5) if reads % 7 else read_snapshot(db)
                if version > 0:
                    assert version >= last, f"version {version} after {last}"
                    last = version
                reads += 1
        pipe.send((reads, last))
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")
