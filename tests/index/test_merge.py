"""Merging in steps: what happens to the documents, and to others, between the steps."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import mvdb
from mvdb.codebook import codebook as codebooks
from mvdb.limits import Limits
from mvdb.segment import layout
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import Sealed
from mvdb.state import unpublished
from mvdb.write import maintenance_steps, merge_policy
from mvdb.write.maintenance_steps import begin_merge, publish_merge
from mvdb.write.merge import Merge, SegmentGone
from tests.index.files import (
    DIM,
    LISTED,
    check,
    fill,
    left_over,
    listed,
    open_state,
    put,
)
from tests.support.children import run_program
from tests.support.opening import opened

SMALL = Limits(
    train_documents=50, extended_at_once=0, commit_tokens=0, step_bytes=500, chunk_bytes=700
)
"""Commits do not merge, and merges take many steps."""
SMALL_LISTED = replace(LISTED, train_documents=50, commit_tokens=0, step_bytes=500, chunk_bytes=700)
"""The same, with posting lists."""


class ByHand:
    """A merge of all segments, a step at a time, as maintenance does it."""

    def __init__(self, db: mvdb.Database) -> None:
        steps = self._transactions = db._engine.steps
        infos, executor = segments(db), steps.resources.executor
        self.merge = steps.run(lambda changes: begin_merge(changes, infos, steps, executor))
        self.writer = self.merge.writer
        self._steps = self.merge.steps()

    def step(self) -> bool:
        """One step and its commit; False when there is none left."""
        parts = next(self._steps, None)
        if parts is None:
            return False
        self._transactions.run(lambda changes: changes.store(parts))
        return True

    def publish(self) -> None:
        self._transactions.run(partial(publish_merge, self.merge))
        self.writer.close()


def remove_abandoned(db: mvdb.Database, age: float) -> None:
    """Removes what merges have left that are older than `age` seconds."""
    db._engine.steps.run(lambda changes: unpublished.remove_all(changes.txn, age))


def segments(db: mvdb.Database) -> tuple[SegmentInfo, ...]:
    txn, state = open_state(db)
    with txn:
        return state.manifest.segments


def merge(db: mvdb.Database, infos: Sequence[SegmentInfo]) -> bool:
    """A merge of the given segments, as `optimize` makes it."""
    steps = db._engine.steps
    return maintenance_steps.merge(steps, infos, steps.resources.executor)


@pytest.fixture(params=[SMALL, SMALL_LISTED], ids=["small", "listed"])
def limits(request: pytest.FixtureRequest) -> Limits:
    chosen: Limits = request.param
    return chosen


def make(path: Path, limits: Limits, bits: int = 2) -> tuple[mvdb.Database, dict[int, int]]:
    """300 documents in four segments, some deleted and replaced."""
    db = opened(path, limits, dim=DIM, bits=bits, background=False)
    fill(db, 150)
    fill(db, 150, first=150, commits=2)
    db.delete(range(5, 300, 7))
    put(db, range(0, 300, 10), version=1)
    versions = dict.fromkeys((name for name in range(300) if name % 7 != 5), 0)
    versions.update(dict.fromkeys(range(0, 300, 10), 1))
    return db, versions


def change(db: mvdb.Database, versions: dict[int, int], number: int) -> None:
    """Deletes, replaces and adds, something else for each number."""
    gone = [name for name in (3 * number, 3 * number + 1, 200 - number) if name in versions]
    assert db.delete(gone) == len(gone)
    for name in gone:
        del versions[name]
    replaced = [40 + number, 290 - 2 * number]
    put(db, replaced, version=2 + number)
    versions.update(dict.fromkeys(replaced, 2 + number))
    put(db, [1000 + number])
    versions[1000 + number] = 0


def stored_values(db: mvdb.Database, segment: int) -> int:
    with db._engine.environment.read() as txn:
        prefix = layout.segment_prefix(segment)
        return sum(bytes(key).startswith(prefix) for key, _ in txn.iterate(layout.TABLE))


def everything_merged(db: mvdb.Database) -> None:
    db.optimize()
    assert len(segments(db)) == (1 if len(db) else 0)
    assert left_over(db.path) == (set(), set())
    report = db.verify()
    assert report.ok, report.problems


def test_documents_change_between_steps(tmp_path: Path, limits: Limits) -> None:
    """A delete, two replacements and an insert before every step, the file read after every one."""
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db:
        work = ByHand(db)
        number = 0
        while True:
            if number < 40:
                change(db, versions, number)
            if not work.step():
                break
            number += 1
            if number % 4 == 0:
                check(db, versions, number)
                report = db.verify()
                assert report.ok, report.problems
        assert number > 8, "not many steps"
        assert left_over(db.path) == ({work.writer.segment}, set())
        work.publish()
        assert work.writer.segment in [info.id for info in segments(db)]
        check(db, versions)
        assert db.verify().ok
        everything_merged(db)
        check(db, versions)
    with opened(tmp_path / "a.mvdb", limits, background=False) as db:
        check(db, versions)


@pytest.mark.parametrize("when", [0, 1, 5, 9, -1])
def test_all_documents_go_while_they_are_merged(tmp_path: Path, limits: Limits, when: int) -> None:
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db:
        work = ByHand(db)
        try:
            number = 0
            while number != when and work.step():
                number += 1
            db.delete(list(versions))
            while work.step():
                pass
            with pytest.raises(SegmentGone):
                work.publish()
        except SegmentGone:
            assert when >= 0
        finally:
            work.writer.close()
        check(db, {})
        assert db.verify().ok
        put(db, [1])
        everything_merged(db)
        check(db, {1: 0})


@pytest.mark.parametrize("when", [0, 2, 7, -1])
def test_another_handle_that_merges_first_makes_it_give_up(
    tmp_path: Path, limits: Limits, when: int
) -> None:
    """Its documents are there once, its values removed at the latest by the next `optimize`."""
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db, opened(tmp_path / "a.mvdb", limits, background=False) as other:
        infos = list(segments(db))
        seen = [0]

        def first() -> bool:
            seen[0] += 1
            return seen[0] == when + 1

        original = Merge.steps

        def steps(self: Merge) -> Iterator[list[Sealed]]:
            for parts in original(self):
                yield parts
                if first():
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(Merge, "steps", original)
                        other.optimize()
                        assert len(segments(other)) == 1
            if when == -1:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Merge, "steps", original)
                    other.optimize()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Merge, "steps", steps)
            assert not merge(db, infos)
        for handle in (db, other):
            check(handle, versions)
            report = handle.verify()
            assert report.ok, report.problems
        assert left_over(db.path)[1] == set(), "values that belong to nothing"
        everything_merged(db)
        check(db, versions)


def test_a_merge_whose_entry_was_removed_stores_nothing_more(
    tmp_path: Path, limits: Limits
) -> None:
    """Another process took it for dead, though its segments are still there: every value it stored
    after that was to stay in the file for ever."""
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db, opened(tmp_path / "a.mvdb", limits, background=False) as other:
        original = Merge.steps

        def steps(self: Merge) -> Iterator[list[Sealed]]:
            for number, parts in enumerate(original(self)):
                yield parts
                if number == 7:
                    remove_abandoned(other, 0.0)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Merge, "steps", steps)
            assert not merge(db, segments(db))
        assert left_over(db.path) == (set(), set())
        assert db.verify().ok
        check(db, versions)


def test_a_merge_that_goes_on_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step that stores something renews the entry: what is old has stopped."""
    now = [1000.0]
    monkeypatch.setattr("mvdb.state.unpublished.time.time", lambda: now[0])
    db, versions = make(tmp_path / "a.mvdb", SMALL)
    with db, opened(tmp_path / "a.mvdb", SMALL, background=False) as other:
        original = Merge.steps

        def steps(self: Merge) -> Iterator[list[Sealed]]:
            for parts in original(self):
                now[0] += 400 if parts else 0
                yield parts
                remove_abandoned(other, 600.0)

        monkeypatch.setattr(Merge, "steps", steps)
        assert merge(db, segments(db))
        check(db, versions)
        assert left_over(db.path) == (set(), set())


def test_what_an_interrupted_merge_leaves_is_removed(tmp_path: Path, limits: Limits) -> None:
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db:
        work = ByHand(db)
        for _ in range(8):
            assert work.step()
        assert stored_values(db, work.writer.segment) > 0
        work.writer.close()
    begun, orphans = left_over(tmp_path / "a.mvdb")
    assert begun == {work.writer.segment}
    assert orphans == set()
    with opened(tmp_path / "a.mvdb", limits, background=False) as db:
        assert db.verify().ok, "unfinished segments are no orphans"
        check(db, versions)
        # What is young may be at work in another process.
        remove_abandoned(db, 600.0)
        assert left_over(db.path) == (begun, set())
        everything_merged(db)
        check(db, versions)


def test_an_entry_from_the_future_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun while the clock was wrong."""
    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, background=False) as db:
        fill(db, 80)
        monkeypatch.setattr("mvdb.state.unpublished.time.time", lambda: 1e12)
        db._engine.steps.run(lambda changes: unpublished.add(changes.txn, 77))
        monkeypatch.undo()
        assert left_over(db.path)[0] == {77}
        remove_abandoned(db, 600.0)
        assert left_over(db.path)[0] == set()


def move_map(db: mvdb.Database) -> None:
    """As when another process has let the file grow."""
    shared = db._engine.environment._shared
    assert shared is not None
    with shared.drain.emptied(seconds=5):
        growing = shared.lifecycle.file.map
        growing.resize(growing.mapped + (1 << 20), 0)


def moved_between_steps(path: str, large: str) -> None:
    """Merges while the file is mapped elsewhere after every step; run in a process of its own, as
    it dies when an address of the old map is used."""
    limits = Limits(train_documents=50, extended_at_once=0, commit_tokens=0, step_bytes=150_000)
    if large == "listed":
        limits = replace(limits, listed_tokens=1000, cluster_documents=64)
    with opened(path, limits, dim=DIM, bits=8, background=False) as db:
        fill(db, 1000)
        fill(db, 5000, first=1000)
        before = dict(zip(range(6000), db.vectors(range(6000)), strict=True))
        work = ByHand(db)
        steps = 0
        while work.step():
            move_map(db)
            put(db, [10_000 + steps])
            steps += 1
        assert steps > 3, steps
        work.publish()
        report = db.verify()
        assert report.ok, report.problems
        for name, vectors in before.items():
            assert (db.vectors(name)[0] == vectors).all(), name


@pytest.mark.parametrize("kind", ["small", "listed"])
def test_the_map_may_move_between_steps(tmp_path: Path, kind: str) -> None:
    """Parts that wait for their chunk to fill were views into the map of an earlier transaction."""
    done = run_program("tests.index.test_merge", tmp_path / "a.mvdb", kind)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])


def test_optimize_goes_down_to_the_fewest_segments(tmp_path: Path, limits: Limits) -> None:
    """Neighbours that fit into one segment are one afterwards; deleted documents are gone."""
    db, versions = make(tmp_path / "a.mvdb", limits)
    with db:
        most = db.stats().tokens // 2
    with opened(db.path, replace(limits, max_tokens=most), background=False) as db:
        db.optimize()
        infos = segments(db)
        assert 2 <= len(infos) <= 4
        assert all(info.n_deleted == 0 and info.n_tokens <= most for info in infos)
        assert all(one.n_tokens + two.n_tokens > most for one, two in itertools.pairwise(infos))
        check(db, versions)
    with opened(db.path, limits, background=False) as db:
        everything_merged(db)
        check(db, versions)


def test_a_commit_merges_more_when_there_are_very_many_segments(tmp_path: Path) -> None:
    """A state has a bounded number of segments; without a background the commits see to it."""
    limits = Limits(
        train_documents=50, base_tokens=64, fanout=3, commit_tokens=60, crowded_segments=8
    )
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 60)
        for part in range(40):
            fill(db, 10, first=100 + 10 * part)
            assert len(segments(db)) <= 10
        assert db.verify().ok
        check(db, dict.fromkeys([*range(60), *range(100, 500)], 0))


def test_more_than_fit_into_a_segment_become_several(tmp_path: Path) -> None:
    """However far maintenance has fallen behind, as behind a long stream."""
    limits = Limits(train_documents=50, base_tokens=8, fanout=3, commit_tokens=0, max_tokens=400)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 60)
        for part in range(50):
            fill(db, 5, first=100 + 5 * part)
        assert sum(info.live_tokens for info in segments(db)) > 3 * limits.max_tokens
        steps = db._engine.steps
        while infos := maintenance_steps.next_merge(steps, merge_policy.due):
            assert len(infos) >= limits.fanout
            assert merge(db, infos)
        sizes = [info.live_tokens for info in segments(db)]
        assert max(sizes) <= limits.max_tokens
        assert len(sizes) < 12
        assert db.verify().ok
        check(db, dict.fromkeys([*range(60), *range(100, 350)], 0))


def test_larger_merges_wait_for_maintenance(tmp_path: Path) -> None:
    """A commit merges what is small; the rest only `optimize` or the background thread."""
    limits = Limits(train_documents=50, base_tokens=64, fanout=3, commit_tokens=200)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 60)
        for part in range(30):
            fill(db, 5, first=100 + 5 * part)
        infos = segments(db)
        assert max(info.n_tokens for info in infos[1:]) <= 200
        txn, state = open_state(db)
        with txn:
            valid = codebooks.valid_generations(txn, state.manifest.generation)

        def may(info: SegmentInfo) -> bool:
            return info.generation in valid

        assert merge_policy.due(state.manifest, may, limits)
        assert not merge_policy.due(state.manifest, may, limits, 200)
        versions = dict.fromkeys([*range(60), *range(100, 250)], 0)
        check(db, versions)
        db.optimize()
        assert len(segments(db)) == 1
        check(db, versions)
        assert not any(listed(db))


if __name__ == "__main__":
    moved_between_steps(*sys.argv[1:])
