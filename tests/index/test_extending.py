"""Centroids that are added later, and codebooks side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.limits import Limits
from mvdb.state import manifest
from mvdb.threads.workers import Workers
from mvdb.write import extend_codebook
from mvdb.write.maintenance_steps import Inline, merge
from tests.index.files import (
    DIM,
    LISTED,
    TOPICS,
    check,
    fill,
    listed,
    open_state,
    pairs,
    put,
    query_for,
    scores_of,
    store_codebook,
    trained_on,
    vectors_of,
)
from tests.support.model import Floats, Id, brute_force, check_hits, unit
from tests.support.opening import by_lists, opened

ONE_BY_ONE = Limits(train_documents=100, extended_at_once=0, newcomers_per_centroid=math.inf)
"""Centroids are added as if all documents came in small commits."""


def stored(db: mvdb.Database, names: range) -> list[bytes]:
    """The vectors as bytes."""
    return [rows.tobytes() for rows in db.vectors(names)]


@contextmanager
def searchable(path: Path, bits: int, *, small: bool, growth: float) -> Iterator[mvdb.Database]:
    """A new database, searched by few lists of its segments, or without lists in small ones, whose
    centroids are extended when tokens are `growth` times as many."""
    limits = replace(LISTED, growth=growth, commit_tokens=0)
    if small:
        limits = replace(limits, listed_tokens=1 << 20)
    limits = by_lists(limits, candidates=20)
    with opened(path, limits, dim=DIM, bits=bits, background=False) as db:
        yield db


def generation_of(db: mvdb.Database) -> int:
    txn, state = open_state(db)
    with txn:
        return state.manifest.generation


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("small", [False, True], ids=["listed", "small"])
def test_old_documents_stay_as_they_were(tmp_path: Path, bits: int, small: bool) -> None:
    """To the last bit: through extensions within commits and by maintenance, merges of segments of
    several generations, reopening, repair; and all searches agree with brute force throughout."""
    path = tmp_path / "a.mvdb"
    with searchable(path, bits, small=small, growth=1.5) as db:
        fill(db, 150)
        before, known, centroids = stored(db, range(150)), 150, [db.stats().centroids]
        for part in range(4):
            if part == 1:  # alone twice what there is: extended by the commit itself
                fill(db, 300, first=known)
                known += 300
                assert db.stats().centroids > centroids[-1]
            else:
                fill(db, 120, first=known, commits=3)
                known += 120
                db.optimize()
            centroids.append(db.stats().centroids)
            assert stored(db, range(len(before))) == before, part
            before = stored(db, range(known))
            check(db, dict.fromkeys(range(known), 0), part)
            report = db.verify()
            assert report.ok, report.problems
        assert centroids == sorted(centroids)
        assert centroids[-1] > 2 * centroids[0]
        assert any(listed(db)) != small
        assert db.stats().bytes["table_centroids"] < 3 * DIM * centroids[-1] + 5000, (
            "tables of extended generations are still there"
        )
    with opened(path, by_lists(candidates=20), background=False) as db:
        assert stored(db, range(known)) == before
        check(db, dict.fromkeys(range(known), 0))
    mvdb.repair(path, tmp_path / "b.mvdb")
    with mvdb.open(tmp_path / "b.mvdb", background=False) as db:
        assert stored(db, range(known)) == before
        check(db, dict.fromkeys(range(known), 0))


def leads_to(db: mvdb.Database, token: Floats, name: Id) -> bool:
    """Whether a document is found by one of its tokens in the one list that is nearest to it."""
    profile = db.profile(token[None], 1, nprobe=1, candidates=1000)
    return profile.fallback == "" and profile.hits[0].id == name


def test_old_documents_are_in_the_lists_of_the_nearest_centroids(tmp_path: Path) -> None:
    """Of the centroids there are after a merge, most of which are younger than the documents."""
    with searchable(tmp_path / "a.mvdb", 8, small=False, growth=1.5) as db:
        fill(db, 150)
        before = db.stats().centroids
        for first in range(150, 1350, 300):
            fill(db, 300, first=first)
        db.optimize()
        assert db.stats().centroids > 2 * before
        documents = zip(range(150), db.vectors(range(150)), strict=True)
        found = [leads_to(db, token, name) for name, rows in documents for token in rows]
    assert np.mean(found) > 0.9


def test_a_merge_in_threads_makes_the_same_lists(tmp_path: Path) -> None:
    """However many threads assign the stored vectors of one step, to the last bit."""
    made: list[list[tuple[bytes, bytes]]] = []
    for executor in (Inline(lambda: None), Workers(4, "test")):
        path = tmp_path / f"{len(made)}.mvdb"
        with executor, searchable(path, 2, small=False, growth=1.5) as db:
            fill(db, 150)
            for first in range(150, 1350, 300):
                fill(db, 300, first=first)
            steps = db._engine.steps
            with steps.reading() as (_, state):
                infos = state.manifest.segments
            assert merge(steps, infos, executor)
            with steps.reading() as (txn, _):
                made.append([(bytes(key), bytes(value)) for key, value in txn.iterate("segments")])
            check(db, dict.fromkeys(range(1350), 0))
    assert made[0] == made[1]


def test_new_documents_are_more_faithful_with_more_centroids(tmp_path: Path) -> None:
    """What the new centroids are for: documents about something that was not there at training."""
    errors = {}
    for newcomers in (2.0, math.inf):
        limits = replace(ONE_BY_ONE, newcomers_per_centroid=newcomers)
        path = tmp_path / f"{newcomers}.mvdb"
        with opened(path, limits, dim=DIM, bits=1, background=False) as db:
            names = [name for name in range(600) if name % TOPICS < 2]
            put(db, names[:100])
            others = [name for name in range(1200) if name % TOPICS >= 6]
            put(db, others[:300])
            put(db, others[300:])
            found = db.vectors(others[300:])
            errors[newcomers] = np.mean(
                [
                    np.linalg.norm(rows - vectors_of(name), axis=1).mean()
                    for name, rows in zip(others[300:], found, strict=True)
                ]
            )
    assert errors[2.0] < 0.9 * errors[math.inf], errors


def test_extending_is_due_when_the_collection_has_outgrown_its_centroids(tmp_path: Path) -> None:
    limits = replace(ONE_BY_ONE, growth=2.0)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 100)
        trained = db.stats().trained_tokens
        assert trained == db.stats().tokens
        fill(db, 90, first=100, commits=2)
        db.optimize()
        assert generation_of(db) == 1
        fill(db, 20, first=190)
        assert extend_codebook.is_due(open_state(db)[1].manifest, limits)
        db.optimize()
        assert generation_of(db) == 2
        assert db.stats().trained_tokens == db.stats().tokens
        db.optimize()
        assert generation_of(db) == 2
        assert db.verify().ok


@pytest.mark.parametrize("at_once", [0, 1 << 20])
def test_a_small_collection_is_extended_by_the_commit_that_makes_it_due(
    tmp_path: Path, at_once: int
) -> None:
    limits = replace(ONE_BY_ONE, extended_at_once=at_once, growth=2.0)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 100)
        fill(db, 90, first=100, commits=2)
        assert generation_of(db) == 1
        fill(db, 20, first=190)
        assert generation_of(db) == (2 if at_once else 1)
        fill(db, 60, first=210)
        check(db, dict.fromkeys(range(270), 0))
        assert db.verify().ok


# ---- wider codes ----


def many_centroids(count: int) -> core.CodecSpec:
    """A codec of that many random centroids in an arbitrary grouping."""
    rng = np.random.default_rng(5)
    points = core.make_points(
        unit(rng.standard_normal((count, DIM))).astype(np.float32), training.ROTATION_SEED
    )
    rows = (points.astype(np.int16) + 128).astype(np.uint8)
    starts = np.linspace(0, count, 65).astype(np.uint32)
    return core.CodecSpec(
        dim=DIM,
        bits=8,
        seed=training.ROTATION_SEED,
        rows=rows,
        group_rows=np.ascontiguousarray(rows[starts[:-1]]),
        group_starts=starts,
        members=np.arange(count, dtype=np.uint32),
        a_scales=np.linspace(0, 1.2, core.SCALES).astype(np.float32),
        b_scales=np.linspace(0, 1.5, core.SCALES).astype(np.float32),
    )


def extended_to(spec: core.CodecSpec, count: int) -> core.CodecSpec:
    """The codec with more centroids behind its own."""
    more = many_centroids(count)
    have = len(spec.rows)
    return replace(
        spec,
        rows=np.concatenate([spec.rows, more.rows[have:]]),
        group_rows=np.concatenate([spec.group_rows, more.rows[-1:]]),
        group_starts=np.append(spec.group_starts, np.uint32(count)),
        members=np.append(spec.members, np.arange(have, count, dtype=np.uint32)),
    )


@pytest.mark.parametrize("small", [False, True], ids=["listed", "small"])
def test_codes_grow_from_two_bytes_to_three(tmp_path: Path, small: bool) -> None:
    """Beyond 65,536 centroids. Segments with codes of both widths are searched together; an update
    of metadata moves documents to a segment of wide ones; a merge makes all of them wide; the
    vectors do not change by a bit."""
    assert (core.code_bytes(65_536), core.code_bytes(65_537)) == (2, 3)
    with searchable(tmp_path / "a.mvdb", 8, small=small, growth=1e9) as db:
        store_codebook(db, many_centroids(65_500), 1)
        fill(db, 150)
        for count, width in ((65_536, 2), (65_537, 3), (66_500, 3)):
            with open_state(db)[0] as txn:
                number = manifest.load(txn).generation
                larger = extended_to(codebooks.load_spec(txn, number), count)
            extension = extend_codebook.Extension(number, larger, len(db))
            db._engine.steps.run(partial(extend_codebook.extend, extension=extension))
            first = len(db)
            fill(db, 100, first=first)
            txn, state = open_state(db)
            with txn:
                assert [one.code_bytes for one in state.segments][-1] == width
            check(db, dict.fromkeys(range(first + 100), 0), count)
            assert db.verify().ok
        before = stored(db, range(450))
        db.update(list(range(0, 450, 7)), metadata={"updated": True}, merge=True)
        txn, state = open_state(db)
        with txn:
            assert [one.code_bytes for one in state.segments][-1] == 3
        assert stored(db, range(450)) == before
        check(db, dict.fromkeys(range(450), 0))
        db.delete(range(0, 450, 9))
        kept = [name for name in range(450) if name % 9]
        db.optimize()
        txn, state = open_state(db)
        with txn:
            assert [one.code_bytes for one in state.segments] == [3]
        assert [stored(db, range(name, name + 1))[0] for name in kept] == [before[n] for n in kept]
        check(db, dict.fromkeys(kept, 0))
        report = db.verify()
        assert report.ok, report.problems
        assert listed(db) == [not small]


# ---- codebooks side by side ----


def train_anew(db: mvdb.Database, names: range) -> None:
    """A codebook of its own, trained on these documents; the segments there are stay."""
    store_codebook(db, *trained_on([vectors_of(name) for name in names], db.bits))


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("first", ["float16", "another codebook"])
def test_two_generations_are_searched_together(tmp_path: Path, first: str, bits: int) -> None:
    """Segments of float16 vectors, or of a codebook of centroids of their own, beside others."""
    trains = 10_000 if first == "float16" else 100
    limits = replace(LISTED, train_documents=trains, growth=1e9, commit_tokens=0)
    limits = by_lists(limits, candidates=30)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, bits=bits, background=False) as db:
        fill(db, 150)
        train_anew(db, range(150, 300))
        fill(db, 150, first=150)
        put(db, range(40, 60), version=1)
        db.delete(range(0, 300, 11))
        versions = {name: int(40 <= name < 60) for name in range(300) if name % 11}
        txn, state = open_state(db)
        with txn:
            codecs = {id(segment.codec) for segment in state.segments}
            assert len(codecs) == 2
            has_float16 = any(segment.codec is None for segment in state.segments)
            assert has_float16 == (first == "float16")
        for seed in range(2 * TOPICS):
            check(db, versions, seed)
            query = query_for(seed % TOPICS, seed)
            profile = db.profile(query, 8)
            assert profile.plan == "lists"
            check_hits(profile.hits, scores_of(db, query), 8, len(query), complete=False)
            chosen = list(range(20, 280))
            fits: dict[Id, float] = {n: s for n, s in scores_of(db, query).items() if n in chosen}
            hits = db.search(query, 8, ids=chosen, candidates=len(fits))
            check_hits(hits, fits, 8, len(query))
        queries = [query_for(topic, 1) for topic in range(TOPICS)]
        single = [pairs(db.search(query, 6)) for query in queries]
        for threads in (1, 3):
            assert [pairs(h) for h in db.search_batch(queries, 6, threads=threads)] == single
        report = db.verify()
        assert report.ok, report.problems


def test_a_merge_of_codes_leaves_the_vectors_alone(tmp_path: Path) -> None:
    """Whatever a merge does to order, chunks and codes: bytes in, bytes out."""
    limits = replace(LISTED, commit_tokens=0, growth=1e9)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, bits=4, background=False) as db:
        fill(db, 120)
        fill(db, 300, first=120, commits=3)
        before: dict[Id, Floats] = dict(zip(range(420), db.vectors(range(420)), strict=True))
        scores = brute_force(query_for(2), before)
        db.optimize()
        assert listed(db) == [True]
        for name, rows in before.items():
            assert rows.tobytes() == db.vectors(name)[0].tobytes()
        check_hits(db.search(query_for(2), 20, exact=True), scores, 20, 5)
