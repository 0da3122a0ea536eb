"""Maintenance: optimize, compact, backup, verify and repair keep every document, and say so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.codebook import codebook as codebooks
from mvdb.limits import Limits
from mvdb.segment import layout
from mvdb.segment.layout import Part
from mvdb.state import manifest
from mvdb.storage.environment import Environment
from tests.helpers import DIM, content, fill, matrix
from tests.support.opening import opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


@pytest.fixture(params=[False, True], ids=["float16", "trained"])
def db(request: pytest.FixtureRequest, path: Path) -> Iterator[mvdb.Database]:
    """60 documents, 20 of them deleted, in several segments."""
    limits = Limits(train_documents=40 if request.param else 10_000)
    with opened(path, limits, dim=DIM, bits=4) as database:
        for first in range(0, 60, 20):
            fill(database, 20, first=first)
        database.delete(range(0, 60, 3))
        assert (database.stats().centroids > 0) == request.param
        yield database


def scores(db: mvdb.Database) -> list[tuple[object, float]]:
    return [(hit.id, hit.score) for hit in db.search(matrix(999, 4), 100, exact=True)]


def flip(path: Path, find: bytes) -> None:
    """Damages these bytes wherever they stand in the file: older pages may hold them too."""
    data = path.read_bytes()
    assert find in data
    damaged = bytearray(find)
    damaged[len(find) // 2] ^= 0x55
    path.write_bytes(data.replace(find, bytes(damaged)))


def stored_value(path: Path, table: str, key: bytes) -> bytes:
    """A value as it lies in the file."""
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        value = txn.get(table, key)
        assert value is not None
        return bytes(value)


def segments(path: Path) -> tuple[manifest.SegmentInfo, ...]:
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        return manifest.load(txn).segments


def test_optimize_drops_deleted_data_and_changes_no_answer(db: mvdb.Database) -> None:
    before, expected = content(db.path), scores(db)
    assert db.stats().deleted_share > 0.2
    steps: list[str] = []
    db.optimize(progress=steps.append)
    assert steps
    assert all(isinstance(step, str) for step in steps)
    stats = db.stats()
    assert (stats.segments, stats.deleted_share, stats.documents) == (1, 0, 40)
    assert content(db.path) == before
    assert scores(db) == expected
    db.optimize()


def test_optimize_trains_where_it_is_due(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 60)
        assert db.stats().centroids == 0
    with opened(path, Limits(train_documents=50)) as db:
        steps: list[str] = []
        db.optimize(steps.append)
        stats = db.stats()
        assert stats.centroids > 0
        assert stats.trained_tokens == stats.tokens == 180
        assert stats.drift == pytest.approx(1)
        assert "training" in steps
        assert list(db.ids()) == list(range(60))
        assert db.verify().ok


def test_compact_in_place_shrinks_the_file_and_keeps_the_handle(db: mvdb.Database) -> None:
    fill(db, 400, first=1000)
    db.delete(range(1000, 1400))
    before, expected, size = content(db.path), scores(db), db.path.stat().st_size
    db.compact()
    assert db.path.stat().st_size < size
    assert content(db.path) == before
    assert scores(db) == expected
    fill(db, 1, first=5000)
    assert 5000 in db
    assert [file.name for file in db.path.parent.iterdir() if "lock" not in file.name] == ["a.mvdb"]


def test_compact_to_a_path(db: mvdb.Database, tmp_path: Path) -> None:
    target = tmp_path / "small.mvdb"
    db.compact(target)
    assert content(target) == content(db.path)
    assert target.stat().st_size <= db.path.stat().st_size
    with pytest.raises(FileExistsError, match="small"):
        db.compact(target)
    assert content(target) == content(db.path)


def test_compact_waits_for_no_open_snapshot(db: mvdb.Database) -> None:
    path, before = db.path, content(db.path)
    db.close()
    with opened(path, Limits(drain_seconds=0.05)) as db:
        with db.snapshot() as snap:
            with pytest.raises(mvdb.BusyError):
                db.compact()
            assert len(snap.search(matrix(1), 3)) == 3
        assert content(path) == before
        db.compact()
        assert content(path) == before


def test_compact_of_a_readonly_database_to_a_path(db: mvdb.Database, tmp_path: Path) -> None:
    before = content(db.path)
    with mvdb.open(db.path, readonly=True) as reader:
        reader.compact(tmp_path / "b.mvdb")
        with pytest.raises(mvdb.ReadOnlyError):
            reader.compact()
    assert content(tmp_path / "b.mvdb") == before


def test_backup_is_the_present_state_and_never_replaces_a_file(
    db: mvdb.Database, tmp_path: Path
) -> None:
    before, target = content(db.path), tmp_path / "copy.mvdb"
    db.backup(target)
    fill(db, 5, first=100)
    assert content(target) == before
    with pytest.raises(FileExistsError, match="copy"):
        db.backup(target)
    with pytest.raises(FileExistsError):
        db.backup(db.path)
    with pytest.raises(FileNotFoundError):
        db.backup(tmp_path / "nowhere" / "copy.mvdb")
    assert content(target) == before


def test_backups_while_a_writer_and_readers_go_on(path: Path, tmp_path: Path) -> None:
    with mvdb.open(path, dim=DIM, durability="relaxed") as db:
        fill(db, 10)
        stop = threading.Event()
        errors: list[BaseException] = []
        turns: Counter[str] = Counter()

        def guarded(step: Callable[[int], object]) -> Callable[[], None]:
            def run() -> None:
                try:
                    while not stop.is_set() or not turns[step.__name__]:
                        step(turns[step.__name__])
                        turns[step.__name__] += 1
                except BaseException as error:
                    errors.append(error)

            return run

        def write(turn: int) -> None:
            with db.transaction() as txn:  # ten more or ten fewer, never between
                for i in range(10):
                    if turn % 2 == 0:
                        txn.insert(f"w{i}", matrix(i))
                    else:
                        txn.delete(f"w{i}")

        def read(turn: int) -> None:
            assert len(db.search(matrix(turn), 30)) in (10, 20)

        threads = [threading.Thread(target=guarded(step)) for step in (write, read)]
        for thread in threads:
            thread.start()
        for i in range(8):
            db.backup(tmp_path / f"copy{i}.mvdb")
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert set(turns) == {"write", "read"}
    for i in range(8):
        assert len(content(tmp_path / f"copy{i}.mvdb")) in (10, 20)


# ---- verify ----


def test_verify_reports_and_never_writes(db: mvdb.Database) -> None:
    before = db.path.read_bytes()
    report = db.verify()
    assert report.ok
    assert report.problems == ()
    assert (report.documents, report.tokens) == (40, 120)
    assert sum(report.blocks.values()) > 40
    shallow = db.verify(deep=False)
    assert shallow.ok
    assert sum(shallow.blocks.values()) < sum(report.blocks.values())
    assert db.path.read_bytes() == before


@pytest.mark.parametrize("part", [Part.RECORDS, Part.DOCUMENTS, Part.FIELDS, Part.IDS])
def test_verify_finds_a_damaged_part(db: mvdb.Database, path: Path, part: Part) -> None:
    db.optimize()
    db.close()
    (info,) = segments(path)
    flip(path, stored_value(path, layout.TABLE, layout.part_key(info.id, part)))
    with mvdb.open(path, readonly=True) as damaged:
        report = damaged.verify()
    assert not report.ok
    assert any(f"segment {info.id}" in problem for problem in report.problems)


# ---- repair ----


def test_repair_of_a_sound_file_is_the_same_content(db: mvdb.Database, tmp_path: Path) -> None:
    before, expected = content(db.path), scores(db)
    db.close()
    raw = db.path.read_bytes()
    outcome = mvdb.repair(db.path, tmp_path / "new.mvdb")
    assert (outcome.recovered, outcome.lost, outcome.texts_lost) == (40, 0, 0)
    assert content(tmp_path / "new.mvdb") == before
    assert db.path.read_bytes() == raw
    with mvdb.open(tmp_path / "new.mvdb") as new:
        assert scores(new) == expected
        fill(new, 3, first=500)
        assert len(new) == 43
    assert (tmp_path / "new.mvdb").exists()


def test_repair_saves_all_but_the_damaged_document(db: mvdb.Database, tmp_path: Path) -> None:
    db.optimize()
    before = content(db.path)
    db.close()
    (info,) = segments(db.path)
    value = stored_value(db.path, layout.TABLE, layout.part_key(info.id, Part.RECORDS))
    flip(db.path, value)
    raw = db.path.read_bytes()
    outcome = mvdb.repair(db.path, tmp_path / "new.mvdb")
    assert (outcome.recovered, outcome.lost) == (39, 1)
    after = content(tmp_path / "new.mvdb")
    assert after.items() <= before.items()
    assert len(after) == 39
    assert db.path.read_bytes() == raw


def test_repair_with_damaged_texts_keeps_the_vectors(db: mvdb.Database, tmp_path: Path) -> None:
    db.optimize()
    before = content(db.path)
    db.close()
    (info,) = segments(db.path)
    flip(db.path, stored_value(db.path, layout.TABLE, layout.part_key(info.id, Part.DOCUMENTS)))
    outcome = mvdb.repair(db.path, tmp_path / "new.mvdb")
    assert (outcome.recovered, outcome.lost, outcome.texts_lost) == (40, 0, 40)
    after = content(tmp_path / "new.mvdb")
    assert {name: rows for name, (_, _, rows) in after.items()} == {
        name: rows for name, (_, _, rows) in before.items()
    }


def test_repair_with_damaged_tombstones_never_brings_back_what_was_replaced(
    path: Path, tmp_path: Path
) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 20)
        db.upsert([3, 4], [matrix(103), matrix(104)], texts=["new 3", "new 4"])
    first = segments(path)[0]
    flip(path, stored_value(path, "tombstones", layout.segment_prefix(first.id)))
    mvdb.repair(path, tmp_path / "new.mvdb")
    after = content(tmp_path / "new.mvdb")
    assert list(after) == list(range(20))
    assert [after[i][0] for i in (3, 4, 5)] == ["new 3", "new 4", "text 5"]


@pytest.mark.parametrize("damage", [False, True])
def test_a_repaired_file_without_documents_takes_new_ones(
    path: Path, tmp_path: Path, damage: bool
) -> None:
    limits = Limits(train_documents=30)
    with opened(path, limits, dim=DIM) as db:
        fill(db, 40)
        if not damage:
            db.delete(range(40))
    if damage:
        key = (1).to_bytes(4, "big") + b"\x01" + bytes(4)
        flip(path, stored_value(path, codebooks.TABLE, key))
    outcome = mvdb.repair(path, tmp_path / "new.mvdb")
    assert (outcome.recovered, outcome.lost) == (0, 40 if damage else 0)
    with opened(tmp_path / "new.mvdb", limits) as new:
        fill(new, 50)
        assert new.search(matrix(7), 1)[0].id == 7
        assert new.verify().ok


def test_repair_of_what_cannot_be(tmp_path: Path, path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 2)
    target = tmp_path / "new.mvdb"
    with pytest.raises(FileNotFoundError, match="missing"):
        mvdb.repair(tmp_path / "missing.mvdb", target)
    for bytes_ in (b"", b"text" * 5000, np.random.default_rng(0).bytes(50_000)):
        junk = tmp_path / "junk"
        junk.write_bytes(bytes_)
        with pytest.raises(mvdb.FormatError, match="junk"):
            mvdb.repair(junk, target)
        assert not target.exists()
    with pytest.raises(FileExistsError, match="exists"):
        mvdb.repair(path, path)
    assert len(content(path)) == 2
