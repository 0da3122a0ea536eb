"""A file outgrows the address space that was reserved for it, at any moment.

Growing had no caller: after a small reservation (little address space, Windows, a large collection)
an ordinary session ended with `StorageFullError` on an empty disk."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from tests.helpers import Floats, matrix
from tests.support.children import ROOT, command
from tests.support.opening import opened

DIM = 64


SMALL = Limits(reserved_bytes=1 << 20, map_room=1 << 20, map_slack=1 << 20)
"""Hardly any address space is reserved, and room is made in small steps."""


def vectors(names: range) -> list[Floats]:
    return [matrix(name, 20, DIM) for name in names]


def mapped(db: mvdb.Database) -> int:
    shared = db._engine.environment._shared
    assert shared is not None
    return shared.lifecycle.file.map.mapped


@pytest.mark.parametrize("bits", [2, 16])
def test_many_transactions(tmp_path: Path, bits: int) -> None:
    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, bits=bits, map_size=1 << 20) as db:
        before = mapped(db)
        for first in range(0, 4000, 200):
            db.insert(list(range(first, first + 200)), vectors(range(first, first + 200)))
        db.optimize()
        assert mapped(db) > before
        assert len(db) == 4000
        assert db.verify().ok


def test_one_long_transaction(tmp_path: Path) -> None:
    """It begins again in a larger map, with all that it has done so far."""
    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, bits=16, map_size=1 << 20) as db:
        db.insert(list(range(20)), vectors(range(20)), texts=[f"text {i}" for i in range(20)])
        before = mapped(db)
        with db.transaction() as txn:
            assert txn.delete([3, 4]) == 2
            txn.upsert([5], vectors(range(100, 101)), texts=["new"])
            for first in range(1000, 6000, 250):
                names = range(first, first + 250)
                txn.insert(list(names), vectors(names), metadata=[{"n": n} for n in names])
                hits = txn.search(matrix(first, 20, DIM), 1)
                assert [hit.id for hit in hits] == [first]
            assert txn.delete(1000) == 1
        assert mapped(db) > 2 * before
        names = {*range(20), *range(1000, 6000)} - {3, 4, 1000}
        assert set(db.ids()) == names
        assert db.get([5])[0].text == "new"  # type: ignore[union-attr]
        assert len(db.search(matrix(1, 2, DIM), 9999, filter={"n": {"$gte": 1500}})) == 4500
        for name in (5999, 1001, 7):
            stored = db.vectors(name)[0]
            rows = matrix(name, 20, DIM)
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            assert np.abs(stored - rows).max() < 1e-3
        assert db.verify().ok


def test_a_long_transaction_rolled_back(tmp_path: Path) -> None:
    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, bits=16, map_size=1 << 20) as db:
        db.insert(1, vectors(range(1))[0])
        txn = db.transaction()
        txn.insert(list(range(10, 4000)), vectors(range(10, 4000)))
        assert len(txn.search(matrix(0, 2, DIM))) == 10
        txn.rollback()
        assert list(db.ids()) == [1]
        assert db.verify().ok


def test_while_others_read(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                hits = db.search(matrix(7, 20, DIM), 3)
                assert hits[0].id == 7
                assert hits[0].text == "seven"
                with db.snapshot() as snapshot:
                    assert len(snapshot) == len(list(snapshot.ids()))
        except BaseException as error:
            problems.append(error)

    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, bits=16, map_size=1 << 20) as db:
        db.insert(7, vectors(range(7, 8))[0], texts="seven")
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        with db.transaction() as txn:
            for first in range(1000, 4000, 250):
                txn.insert(list(range(first, first + 250)), vectors(range(first, first + 250)))
                len(txn)
        for first in range(5000, 7000, 250):
            db.insert(list(range(first, first + 250)), vectors(range(first, first + 250)))
        stop.set()
        for thread in threads:
            thread.join()
        assert not problems
        assert db.verify().ok


def test_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    mvdb.open(path, dim=DIM, bits=16).close()
    processes = [
        subprocess.Popen(command("tests.growing_writer", path, first), cwd=ROOT)
        for first in (0, 10_000, 20_000)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    with mvdb.open(path) as db:
        assert len(db) == 9000
        assert db.verify().ok
