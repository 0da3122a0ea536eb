"""Damage to a file with collections: nothing of one collection is taken for another's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import pytest

import mvdb
from mvdb.storage import envelope
from mvdb.storage.format import TABLES, Kind
from tests.helpers import DIM, fill, matrix


def scope(number: int) -> bytes:
    return b"\xff" + number.to_bytes(4, "big")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two collections with the same ids and other texts, numbers 1 and 2; number 3 was dropped."""
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=DIM, background=False) as db:
        fill(db, 5)
        for version, name in enumerate(("mail", "calendar", "gone")):
            one = db.collection(name, dim=DIM)
            one.insert(
                list(range(40)),
                [matrix(100 * version + i) for i in range(40)],
                texts=[f"{name} {i} " + "x" * 500 for i in range(40)],
            )
        db.drop_collection("gone")
        db.compact()
        for name in ("mail", "calendar"):
            db.collection(name).delete(3 if name == "mail" else 4)
    return path


def change(path: Path, function: Callable[[str, dict[bytes, bytes]], object]) -> None:
    """Changes the keys and values of each table, with LMDB itself."""
    with lmdb.open(str(path), subdir=False, max_dbs=16, lock=False, map_size=1 << 26) as file:
        for table in TABLES:
            handle = file.open_db(table.encode(), create=False)
            with file.begin(write=True, db=handle) as txn:
                before = dict(txn.cursor())
                after = dict(before)
                function(table, after)
                for key in before.keys() - after.keys():
                    txn.delete(key)
                for key, value in after.items():
                    if before.get(key) != value:
                        txn.put(key, value)


def use(path: Path) -> list[Any]:
    """All answers of all collections."""
    with mvdb.open(path, background=False) as db:
        return [
            (one.get(list(one.ids())), [hit.id for hit in one.search(matrix(1), 5)])
            for one in (db, *map(db.collection, db.collections()))
        ]


@pytest.mark.parametrize("table", TABLES)
def test_values_of_another_collection_are_refused(path: Path, table: str) -> None:
    """Each value in turn is exchanged for the one that another collection has under the same key:
    its checksum covers the collection's number too."""
    expected, pristine, keys = use(path), path.read_bytes(), set()

    def collect(name: str, values: dict[bytes, bytes]) -> None:
        if name == table:
            of = [{key[5:] for key in values if key.startswith(scope(n))} for n in (1, 2)]
            keys.update(of[0] & of[1])

    change(path, collect)
    assert keys or table == "centroids"
    for key in sorted(keys)[:: max(1, len(keys) // 12)]:
        path.write_bytes(pristine)

        def exchange(name: str, values: dict[bytes, bytes], key: bytes = key) -> None:
            if name == table:
                values[scope(1) + key] = values[scope(2) + key]

        change(path, exchange)
        with suppress(mvdb.CorruptionError):  # or the value is not needed for the answers
            assert use(path) == expected
        with suppress(mvdb.CorruptionError), mvdb.open(path, readonly=True) as db:
            assert not db.verify().ok


def test_verify_names_the_collection(path: Path) -> None:
    def damage(table: str, values: dict[bytes, bytes]) -> None:
        for key in values:
            if table == "segments" and key.startswith(scope(2)) and key[13] == 5:  # texts
                values[key] = values[key][:-1] + bytes((values[key][-1] ^ 1,))

    change(path, damage)
    with mvdb.open(path, readonly=True) as db:
        report = db.verify()
        assert report.problems
        assert all(one.startswith("collection 'calendar': ") for one in report.problems)
        assert db.collection("mail").verify().ok
        assert not db.collection("calendar").verify().ok
        assert db.collection("mail").get(1)[0].text.startswith("mail 1")  # type: ignore


@pytest.mark.parametrize("number", [3, 77, 0xFFFFFFFF])
def test_verify_finds_what_belongs_to_no_collection(path: Path, number: int) -> None:
    def add(table: str, values: dict[bytes, bytes]) -> None:
        if table in ("ids", "segments"):
            key = scope(number) + b"\x02left over"
            values[key] = envelope.seal(Kind.ID, key, bytes(8))

    change(path, add)
    with mvdb.open(path, readonly=True) as db:
        problems = db.verify().problems
        assert len(problems) == 2
        assert all(f"collection number {number}" in one for one in problems)
        assert "left over" not in db
        assert len(use(path)) == 3


def test_opening_checks_all_collections(path: Path) -> None:
    """A file that was not closed cleanly here, whose collection has lost an id."""

    def lose(table: str, values: dict[bytes, bytes]) -> None:
        if table == "ids":
            del values[next(key for key in values if key.startswith(scope(2)))]

    change(path, lose)
    with pytest.raises(mvdb.CorruptionError, match="collection 'calendar': ids: 38 entries"):
        mvdb.open(path)


def test_repair_with_a_lost_catalog_makes_names(path: Path) -> None:
    expected = use(path)

    def lose(table: str, values: dict[bytes, bytes]) -> None:
        values.pop(b"collections", None)

    change(path, lose)
    data = path.read_bytes().replace(b"collections", b"collectionz")  # stale pages have it too
    path.write_bytes(data)
    out = path.with_name("out.mvdb")
    outcome = mvdb.repair(path, out)
    assert outcome.collections_lost == ()
    with mvdb.open(out) as db:
        assert {"collection-1", "collection-2"} <= set(db.collections())
        for number, (documents, _) in ((1, expected[2]), (2, expected[1])):
            one = db.collection(f"collection-{number}")
            assert one.get(list(one.ids())) == documents
        assert db.verify().ok
        assert len(db.collection("new", dim=DIM)) == 0


def test_repair_names_the_collections_that_it_cannot_bring_back(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(scope(2) + b"settings", at + 1)) >= 0:
        data[at + 5 + 8 + 2] ^= 0xFF
    path.write_bytes(data)
    out = path.with_name("out.mvdb")
    outcome = mvdb.repair(path, out)
    assert outcome.collections_lost == ("calendar",)
    assert (outcome.recovered, outcome.lost) == (5 + 39, 0)
    with mvdb.open(out) as db:
        assert db.collections() == ["mail"]
        assert db.verify().ok
