"""P5 for what large segments have besides: lists, their directory, the order of the documents, and
codes that lie in the records."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.segment.layout import TABLE, Part
from tests.corrupt import specimens
from tests.corrupt.bombs import reseal
from tests.index.files import part_keys
from tests.support.model import Floats, Id, brute_force, check_hits, make_query
from tests.support.opening import by_lists, opened

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files are changed while open")

Parts = dict[Part, list[tuple[bytes, bytes]]]
"""Keys and values by part."""


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return specimens.make("listed", tmp_path_factory.mktemp("listed")).intact


@pytest.fixture
def path(tmp_path: Path, intact: bytes) -> Path:
    name = tmp_path / "a.mvdb"
    name.write_bytes(intact)
    return name


def parts_of(path: Path) -> Parts:
    """The values of the current state."""
    result: Parts = {}
    with mvdb.open(path, readonly=True) as db, db._engine.environment.read() as txn:
        for part in Part:
            for key in part_keys(txn, part):
                value = txn.get(TABLE, key)
                assert value is not None
                result.setdefault(part, []).append((key, bytes(value)))
    return result


def damage(path: Path, value: bytes, at: int) -> None:
    """Flips a bit of the byte `at` of a value, wherever it lies in the file."""
    data = path.read_bytes()
    assert value in data, "a value on several pages is in one piece"
    wrong = bytearray(value)
    wrong[at] ^= 0x10
    path.write_bytes(data.replace(value, bytes(wrong)))


def contents(db: mvdb.Database) -> dict[Id, Floats]:
    names = list(db.ids())
    return dict(zip(names, db.vectors(names), strict=True))


def test_the_specimen_has_everything(path: Path) -> None:
    parts = parts_of(path)
    assert len(parts[Part.LISTS]) > 1
    assert parts[Part.LIST_DIRECTORY]
    assert parts[Part.ORDER]
    with mvdb.open(path, readonly=True) as db, db._engine.environment.read() as txn:
        state = db._engine.cache.state(txn)
        listed = [s for s in state.segments if s.order is not None]
        assert listed
        assert all(segment.has_inline_codes(txn) for segment in listed)
        assert any(
            (np.diff(segment.slots(np.arange(len(segment))).astype(int)) < 0).any()
            for segment in listed
        )
    with opened(path, by_lists(), readonly=True) as db:
        assert db.profile(make_query(1, db.dim), 5).plan == "lists"


@pytest.mark.parametrize("part", [Part.LISTS, Part.LIST_DIRECTORY, Part.ORDER])
@pytest.mark.parametrize("place", [0, 3, 8, 15, 0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_flip_is_reported_before_a_result_is_computed_from_it(
    path: Path, part: Part, place: float
) -> None:
    """Every search either raises CorruptionError or gives the hits of the intact file, and one that
    needs the damaged bytes raises; verify names the part. `place`: a byte of the envelope, or where
    in the body."""
    with opened(path, by_lists(), readonly=True) as db:
        queries = [make_query(seed, db.dim, 6) for seed in range(20)]
        expected = [
            [(hit.id, hit.score) for hit in db.search(query, 8, nprobe=1000)] for query in queries
        ]
    for _, value in parts_of(path)[part][:3]:
        data = path.read_bytes()
        at = place if isinstance(place, int) else 16 + round(place * (len(value) - 17))
        damage(path, value, at)
        refused = 0
        slack = part == Part.LISTS and place == 1.0  # bytes behind the last block: nobody's
        try:
            with opened(path, by_lists(), readonly=True) as db:
                problems = db.verify().problems
                assert slack or any(part.name.lower() in problem for problem in problems), problems
                for query, hits in zip(queries, expected, strict=True):
                    try:
                        found = db.search(query, 8, nprobe=1000)
                    except mvdb.CorruptionError:
                        refused += 1
                    else:
                        assert [(hit.id, hit.score) for hit in found] == hits
        except mvdb.CorruptionError:
            refused += 1
        assert refused or slack, "nothing notices"
        path.write_bytes(data)


@pytest.mark.parametrize(
    "parts",
    [[Part.LISTS], [Part.LIST_DIRECTORY], [Part.LISTS, Part.LIST_DIRECTORY]],
    ids=["lists", "directory", "both"],
)
def test_repair_needs_no_lists(path: Path, tmp_path: Path, parts: list[Part]) -> None:
    """Lists can be made from the codes: all documents of an ordered segment are salvaged."""
    with mvdb.open(path, readonly=True) as db:
        before, documents = contents(db), db.get(list(db.ids()))
    values = parts_of(path)
    for part in parts:
        for _, value in values[part]:
            damage(path, value, len(value) // 3)
    repaired(path, tmp_path / "b.mvdb", before, documents)


def test_repair_of_an_intact_file_with_lists(path: Path, tmp_path: Path) -> None:
    """In which codes lie in the records, in an order of their own: to the last bit, and the
    result is a file like any other."""
    with mvdb.open(path, readonly=True) as db:
        before, documents = contents(db), db.get(list(db.ids()))
    repaired(path, tmp_path / "b.mvdb", before, documents)


def repaired(path: Path, target: Path, before: dict[Id, Floats], documents: list[Any]) -> None:
    done = mvdb.repair(path, target)
    assert (done.recovered, done.lost, done.texts_lost) == (len(before), 0, 0)
    with mvdb.open(target, background=False) as db:
        report = db.verify()
        assert report.ok, report.problems
        assert db.get(list(before)) == documents
        for name, rows in contents(db).items():
            assert rows.tobytes() == before[name].tobytes(), name
        query = make_query(3, db.dim)
        scores = brute_force(query, before)
        check_hits(db.search(query, 10, exact=True), scores, 10, len(query))
        db.insert("after", np.ones((2, db.dim), np.float32))
        db.optimize()
        assert db.verify().ok


def test_repair_of_an_ordered_segment_with_a_damaged_record(path: Path, tmp_path: Path) -> None:
    """A damaged record costs its document alone."""
    with mvdb.open(path, readonly=True) as db:
        before = contents(db)
    value = parts_of(path)[Part.RECORDS][0][1]
    damage(path, value, len(value) // 2)
    done = mvdb.repair(path, tmp_path / "b.mvdb")
    assert (done.recovered, done.lost) == (len(before) - 1, 1)
    with mvdb.open(tmp_path / "b.mvdb", readonly=True) as db:
        assert db.verify().ok
        for name, rows in contents(db).items():
            assert rows.tobytes() == before[name].tobytes(), name


Lie = Callable[[bytes], bytes]


LIES: dict[str, tuple[Part, Lie]] = {
    "an order with a document twice": (Part.ORDER, lambda body: body[4:8] + body[4:]),
    "an order beyond its documents": (Part.ORDER, lambda body: b"\xff" * 4 + body[4:]),
    "an order cut short": (Part.ORDER, lambda body: body[:-4]),
    "no lists": (Part.LIST_DIRECTORY, lambda body: struct.pack("<I", 0) + body[4:]),
    "too many lists": (Part.LIST_DIRECTORY, lambda body: b"\xff" * 4 + body[4:]),
    "too many blocks": (Part.LIST_DIRECTORY, lambda body: body[:4] + b"\xff" * 4 + body[8:]),
    "too many extents": (Part.LIST_DIRECTORY, lambda body: body[:8] + b"\xff" * 4 + body[12:]),
    "a directory cut short": (Part.LIST_DIRECTORY, lambda body: body[: len(body) // 2]),
    "an empty directory": (Part.LIST_DIRECTORY, lambda body: b""),
    "blocks beyond their extent": (
        Part.LIST_DIRECTORY,
        lambda body: body[:-40] + b"\xff" * 40,
    ),
    "an extent cut short": (Part.LISTS, lambda body: body[: len(body) // 2]),
    "an empty extent": (Part.LISTS, lambda body: b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_under_a_valid_checksum_is_refused(path: Path, lie: str) -> None:
    """P6: sizes and orders that contradict each other, in values whose envelopes fit."""
    part, change = LIES[lie]
    changed = reseal(
        path,
        lambda table, key, kind, body: (
            change(bytes(body)) if table == TABLE and len(key) == 13 and key[8] == part else None
        ),
    )
    assert changed
    with pytest.raises(mvdb.CorruptionError), opened(path, by_lists(), readonly=True) as db:  # noqa: PT012
        assert not db.verify().ok
        for seed in range(20):
            db.search(make_query(seed, db.dim, 6), 8, nprobe=1000)
