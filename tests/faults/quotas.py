"""Child processes that run into limits: ``python -m tests.faults.quotas NAME FILE``. They end with
code 0 when everything promised was seen."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

import numpy as np

import mvdb
from tests.faults import steps
from tests.support import rights
from tests.support.model import check_content, make_query
from tests.support.opening import opened


def descriptors(path: Path) -> None:
    """Everything works with 32 descriptors, and without any left reads go on, writes fail without
    a trace, and both go on afterwards."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    content = steps.states()
    with opened(path, steps.LIMITS) as db:
        for number, step in enumerate(steps.steps(path.with_name("copy")), 1):
            step(db)
            check_content(db, content[number], steps.BITS)
        handles = [mvdb.open(path, readonly=i % 2 == 0) for i in range(10)]
        snapshots = [db.snapshot() for _ in range(40)]
        query = make_query(1, steps.DIM)
        expected = [hit.id for hit in db.search(query, 5)]
        for reader in (*handles, *snapshots):
            assert [hit.id for hit in reader.search(query, 5)] == expected
        assert len(db.search_batch([query] * 40, 5, threads=16)) == 40
        for closable in (*handles, *snapshots):
            closable.close()
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        check_content(db, content[-1], steps.BITS)
        for attempt in (lambda: db.backup(path.with_name("another")), lambda: db.compact()):
            try:
                attempt()
            except OSError:  # of the system, or of mvdb
                check_content(db, content[-1], steps.BITS)
                continue
            raise SystemExit("a copy was written without a descriptor")
        try:
            db.insert("large", np.random.default_rng(0).standard_normal((9000, steps.DIM)))
        except OSError:
            check_content(db, content[-1], steps.BITS)
        for descriptor in taken:
            os.close(descriptor)
        steps.write(db, content[-1], [1])
        db.delete("large")
        check_content(db, content[-1], steps.BITS)
        assert db.verify().ok


def file_size(path: Path) -> None:
    """A limit on the size of files is a full disk: StorageFullError, nothing lost, and when there
    is room again the same handle goes on."""
    content = steps.states()
    size = path.stat().st_size
    rng = np.random.default_rng(0)
    for room in (0, 4096, 40_000, 300_000):
        with opened(path, steps.LIMITS) as db:
            # The lock file, 64 KiB, is there before the limit is set.
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
            number = 0
            try:
                for number in range(200):
                    rows = rng.standard_normal((40, 30, steps.DIM))
                    db.upsert([f"{room} {number} {i}" for i in range(40)], rows)
                raise SystemExit(f"no error at a limit of {size + room} bytes")
            except mvdb.StorageFullError:
                pass
            assert path.stat().st_size <= size + room
            assert len(db) == len(content[0]) + 40 * number, (len(db), number)
            with contextlib.suppress(mvdb.StorageFullError):
                db.delete([f"{room} {number} 0", "nobody"])
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            db.insert("after", np.ones((1, steps.DIM), np.float32))
            extra = [name for name in db.ids() if name not in content[0]]
            assert db.delete(extra) == 40 * number + 1
            check_content(db, content[0], steps.BITS)
            db.compact()
        with opened(path, steps.LIMITS) as db:
            assert db.verify().ok
            check_content(db, content[0], steps.BITS)
        size = path.stat().st_size


def read_only(path: Path) -> None:
    """A user without any right to write: reading works and leaves nothing beside the file; writing
    is refused with PermissionError, through a readonly handle with ReadOnlyError."""
    # Once with all rights: what is imported at first use may lie where permissions do not let us.
    steps.prepare(path.parent.with_name("scratch.mvdb"))
    rights.give_up()
    before = sorted(os.listdir(path.parent))
    with mvdb.open(path, readonly=True) as db:
        check_content(db, steps.states()[0], steps.BITS)
        assert db.verify().ok
        for attempt in (
            lambda: db.insert("x", np.ones((1, steps.DIM), np.float32)),
            lambda: db.delete(1),
            lambda: db.optimize(),
            lambda: db.compact(),
            lambda: db.transaction(),
        ):
            try:
                attempt()
            except mvdb.ReadOnlyError:
                continue
            raise SystemExit("a readonly handle writes")
    for create in (path, path.with_name("new.mvdb")):
        try:
            mvdb.open(create, dim=steps.DIM)
        except PermissionError:
            continue
        raise SystemExit(f"{create} was opened for writing")
    assert sorted(os.listdir(path.parent)) == before


def full_disk(path: Path) -> None:
    """The file system is full: StorageFullError; after a deletion elsewhere the handle goes on."""
    steps.prepare(path)
    content = steps.states()
    ballast = path.with_name("ballast")
    ballast.write_bytes(bytes(1 << 20))
    rng = np.random.default_rng(0)
    with opened(path, steps.LIMITS) as db:
        number = 0
        try:
            for number in range(1000):
                db.upsert([f"{number} {i}" for i in range(40)], rng.standard_normal((40, 30, 16)))
            raise SystemExit("the disk is never full")
        except mvdb.StorageFullError:
            pass
        assert len(db) == len(content[0]) + 40 * number
        try:
            db.backup(path.with_name("copy"))
            raise SystemExit("a copy of a full disk fits on it")
        except mvdb.StorageFullError:
            pass
        ballast.unlink()
        db.delete([f"{n} {i}" for n in range(number) for i in range(40)])
        check_content(db, content[0], steps.BITS)
        db.compact()
        assert db.verify().ok
    assert os.listdir(path.parent) == [path.name]


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
