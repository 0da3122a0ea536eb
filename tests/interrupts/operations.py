"""Operations to be interrupted, and what must hold afterwards.

An interruption is an exception that a signal handler raises in the main thread, between any two
bytecodes: what Ctrl-C does. Whatever it cuts short must have happened as a whole or not at all, and
the handle must work on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

import mvdb
from tests.helpers import matrix

DIM = 4
BASE = 12
FEWEST, MOST = 3, 80
Content = dict[int, int]
"""Version of each document, by id: of its vectors, and UPDATED times that of its metadata."""
UPDATED = 100


class Interruption(KeyboardInterrupt):
    """What the handler raises. In a finaliser it is lost, as everything that is raised there."""


class Subject:
    """A database with a few documents, and its content as it should be."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "interrupted.mvdb"
        self.content: Content = {}
        self.next_id = 0
        self.db = mvdb.open(self.path, dim=DIM, durability="relaxed", background=False)
        self.begin_anew()

    def refresh(self) -> None:
        """Now and then: few documents again, so that every operation stays short."""
        if not FEWEST <= len(self.content) <= MOST:
            self.begin_anew()

    def begin_anew(self) -> None:
        """The documents of the beginning, with other ids."""
        self.db.delete(list(self.content))
        self.content = {}
        self._put(range(self.next_id, self.next_id + BASE))

    def _put(self, names: range) -> None:
        self.db.upsert(*documents(names, 0))
        self.content |= dict.fromkeys(names, 0)
        self.next_id = max(self.next_id, names.stop)

    def outcomes(self, operation: str) -> list[Content]:
        """What the content may be after an operation that was interrupted."""
        before, after = dict(self.content), dict(self.content)
        first = self.next_id
        if operation == "insert":
            after |= dict.fromkeys(range(first, first + 3), 1)
        elif operation == "transaction":
            after |= dict.fromkeys(range(first, first + 3), 1)
            del after[min(before)]
        elif operation == "upsert":
            after |= dict.fromkeys([min(before), first], 1)
        elif operation == "update":
            for name in (min(before), max(before)):
                after[name] = before[name] % UPDATED + UPDATED * (before[name] // UPDATED + 1)
        elif operation == "delete":
            del after[min(before)]
        elif operation == "stream":
            steps = [before]
            for name in range(first, first + 6, 2):
                steps.append(steps[-1] | {name: 1, name + 1: 1})
            return steps
        return [before, after]

    def run(self, operation: str) -> None:
        """The operation; it may be interrupted."""
        first, oldest = self.next_id, min(self.content)
        if operation == "insert":
            self.db.insert(*documents(range(first, first + 3), 1))
        elif operation == "transaction":
            with self.db.transaction() as txn:
                txn.delete(oldest)
                txn.search(np.ones((1, DIM), np.float32), 2)
                for name in range(first, first + 3):
                    txn.insert(*documents([name], 1))
        elif operation == "upsert":
            self.db.upsert(*documents([oldest, first], 1))
        elif operation == "update":
            names = [oldest, max(self.content)]
            metadata = [{"v": self.content[name] // UPDATED + 1} for name in names]
            self.db.update(names, metadata=metadata)
        elif operation == "delete":
            self.db.delete(oldest)
        elif operation == "stream":
            pairs = [documents([name, name + 1], 1) for name in range(first, first + 6, 2)]
            self.db.insert_batches(iter(pairs), commit_every=2)
        elif operation in READS:
            READS[operation](self.db)
        elif operation == "reopen":
            self.db.close()
            self.db = mvdb.open(self.path, durability="relaxed", background=False)
        else:
            getattr(self.db, operation)()

    def check(self, operation: str, possible: list[Content]) -> Content:
        """That the handle works, and which of the contents it has."""
        if operation in ("close", "reopen"):
            with suppress(mvdb.ClosedError):
                len(self.db)
            self.db.close()
            self.db = mvdb.open(self.path, durability="relaxed", background=False)
        found = read(self.db)
        assert found in possible, (operation, found, possible)
        with self.db.transaction(timeout=30) as txn:  # nothing keeps the lock
            txn.insert(*documents([-1], 0))
            txn.delete(-1)
        self.next_id = max(self.next_id, max(found, default=-1) + 1)
        self.content = found
        return found

    def close(self) -> None:
        """Everything is released: the file is whole, and nobody has it open."""
        self.db.close()
        assert not os.path.exists(f"{self.path}-lock")
        with mvdb.open(self.path) as db:
            assert db.verify().ok
            assert read(db) == self.content


def _snapshot(db: mvdb.Database) -> None:
    with db.snapshot() as snapshot:
        snapshot.search(np.ones((1, DIM), np.float32), 3)


READS: dict[str, Callable[[mvdb.Database], object]] = {
    "search": lambda db: [hit.text for hit in db.search(np.ones((2, DIM), np.float32), 3)],
    "search_batch": lambda db: db.search_batch([np.ones((1, DIM), np.float32)] * 4, threads=2),
    "get": lambda db: db.get(list(db.ids())),
    "browse": lambda db: (db.count({}), db.facets("v"), list(db.documents(order_by="v"))),
    "snapshot": _snapshot,
    "stats": lambda db: db.stats(),
}
WRITES = ("insert", "upsert", "update", "delete", "transaction", "stream")
MAINTAINS = ("optimize", "compact", "close", "reopen")
OPERATIONS = (*WRITES, *MAINTAINS, *READS)


@contextmanager
def lost_interruptions() -> Iterator[None]:
    """While a block runs: what is raised in finalisers is not told, since it may be an
    interruption, and telling could be interrupted itself."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def documents(
    names: range | list[int], version: int
) -> tuple[list[int], list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]]:
    """Arguments of insert: the version of a document is its number of tokens, less one."""
    return list(names), [matrix(name + 2, version + 1, DIM) for name in names]


def read(db: mvdb.Database) -> Content:
    """The content of a database."""
    return {
        int(document.id): document.n_tokens - 1 + UPDATED * (document.metadata or {}).get("v", 0)
        for document in _all(db)
    }


def _all(db: mvdb.Database) -> Iterator[mvdb.Document]:
    for document in db.get(list(db.ids())):
        assert document is not None
        yield document
