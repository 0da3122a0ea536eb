"""Searching through lists: the same documents as without, and never one that is not allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.search import plan
from tests.index.files import (
    DIM,
    LISTED,
    TOPICS,
    codes_of,
    fill,
    listed,
    open_state,
    pairs,
    probed,
    put,
    query_for,
    scores_of,
    topic_of,
)
from tests.support.model import Id, check_hits
from tests.support.opening import by_lists, opened

N = 600
ALL_CENTROIDS = 1 << 20
LIMITS = by_lists(LISTED, candidates=40)
WITHOUT = replace(LIMITS, list_cost=math.inf)
"""All codes are scanned."""


@pytest.fixture(scope="module", params=[1, 2, 8])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mvdb.Database]:
    """600 documents of twelve topics in two segments with lists, a quarter of them deleted, some
    replaced in a small segment without lists."""
    path = tmp_path_factory.mktemp("gathering") / "a.mvdb"
    with opened(path, LIMITS, dim=DIM, bits=request.param, background=False) as database:
        fill(database, 400)
        fill(database, 200, first=400)
        database.delete(range(0, N, 4))
        put(database, range(1, 60, 4), version=1)
        assert listed(database) == [True, True, False]
        yield database


def live() -> list[int]:
    return [name for name in range(N) if name % 4]


@pytest.mark.parametrize("tokens", [1, 5, 32, 33, 70])
def test_all_lists_find_what_scoring_everything_finds(db: mvdb.Database, tokens: int) -> None:
    """With every centroid probed, as many candidates as there are documents, and all of them
    scored, gathering loses nothing: the hits are those of exact search, scores and all; so are
    those of the interaction over all codes. (One candidate less than documents, else there is
    nothing to choose.)"""
    wanted = len(live()) - 1
    with (
        opened(db.path, replace(LIMITS, stop_deviations=1e6), background=False) as patient,
        opened(db.path, replace(WITHOUT, stop_deviations=1e6), background=False) as without,
    ):
        for topic in range(TOPICS):
            query = query_for(topic, 3, tokens)
            exact = pairs(db.search(query, 20, exact=True))
            profile = patient.profile(query, 20, nprobe=ALL_CENTROIDS, candidates=wanted)
            assert profile.plan == plan.LISTS
            assert profile.lists > 0
            assert pairs(profile.hits) == exact
            profile = without.profile(query, 20, candidates=wanted)
            assert profile.plan == plan.INTERACTION
            assert profile.lists == 0
            assert pairs(profile.hits) == exact


def test_few_lists_find_the_best_documents(db: mvdb.Database) -> None:
    """With forty candidates of 450 documents: all lists find what looking at all codes does, eight
    lists a token nine tenths of it; scores and order are always right."""
    found = {4: 0, 8: 0, ALL_CENTROIDS: 0}
    without = 0
    with opened(db.path, WITHOUT, background=False) as scanning:
        for seed in range(40):
            query = query_for(seed % TOPICS, seed)
            best = {hit.id for hit in db.search(query, 10, exact=True)}
            scores = scores_of(db, query)
            for nprobe in found:
                profile = db.profile(query, 10, nprobe=nprobe)
                assert profile.plan == plan.LISTS
                assert 0 < profile.lists <= nprobe * len(query)
                check_hits(profile.hits, scores, 10, len(query), complete=False)
                found[nprobe] += len(best & {hit.id for hit in profile.hits})
            without += len(best & {hit.id for hit in scanning.search(query, 10)})
    print(found, without)
    assert found[8] >= 0.9 * found[ALL_CENTROIDS] > 0.7 * 400
    assert found[8] >= found[4]
    assert found[ALL_CENTROIDS] >= without - 4


@pytest.mark.parametrize("nprobe", [1, 7, 30])
def test_every_list_that_is_probed_is_gathered(db: mvdb.Database, nprobe: int) -> None:
    """`postings` are those of all probed lists, counted from the codes, and the codes of the
    segment without lists."""
    txn, state = open_state(db)
    with txn:
        codes = [codes_of(txn, state, index) for index in range(2)]
        small = state.segments[2]
        assert state.live[2] is None
        tokens = int(small.directory.starts[-1])
        for topic in range(TOPICS):
            vectors = query_for(topic, 4, 12)
            lists = probed(txn, state, vectors, nprobe)
            expected = sum(
                number in document for number in lists for segment in codes for document in segment
            )
            profile = db.profile(vectors, 5, nprobe=nprobe)
            assert profile.plan == plan.LISTS
            assert profile.lists == len(set(lists))
            assert profile.postings == expected + tokens


@pytest.mark.parametrize("seed", range(12))
def test_no_deleted_or_filtered_document_is_ever_found(db: mvdb.Database, seed: int) -> None:
    """Tombstones, filters and ids= together, with few and with all lists."""
    rng = np.random.default_rng(seed)
    topics = rng.permutation(TOPICS)[: int(rng.integers(3, TOPICS))].tolist()
    names = [int(name) for name in rng.permutation(N + 20)[: int(rng.integers(150, N))]]
    options: list[dict[str, Any]] = [
        {"filter": {"topic": {"$in": topics}}},
        {"ids": names},
        {"filter": {"topic": {"$in": topics}}, "ids": names},
    ]
    query = query_for(seed % TOPICS, seed, 8)
    scores = scores_of(db, query)
    for option in options:
        fits: dict[Id, float] = {
            name: score
            for name, score in scores.items()
            if isinstance(name, int)
            and ("filter" not in option or topic_of(name) in topics)
            and ("ids" not in option or name in names)
        }
        for nprobe in (1, 8, ALL_CENTROIDS):
            profile = db.profile(query, 15, nprobe=nprobe, **option)
            check_hits(profile.hits, fits, 15, len(query), complete=False)
            few = len(fits) <= 40
            assert profile.plan == (plan.EXACT if few else plan.LISTS), (option, len(fits))


def test_a_filter_that_leaves_few_documents_scores_them_all(db: mvdb.Database) -> None:
    query = query_for(3)
    few = [name for name in live() if topic_of(name) in (3, 9)][:30]
    profile = db.profile(query, 10, ids=few)
    assert profile.plan == plan.EXACT
    assert profile.candidates == 30
    fits: dict[Id, float] = {
        name: score for name, score in scores_of(db, query).items() if name in few
    }
    check_hits(profile.hits, fits, 10, len(query))


@pytest.mark.parametrize("k", [10, 30])
def test_a_filter_that_excludes_what_the_query_is_about_still_finds_k(
    db: mvdb.Database, k: int
) -> None:
    """The lists of the query's centroids hold hardly any of the many documents that are allowed:
    there are k hits nevertheless, "fewer when fewer documents qualify". The profile names the plan
    that found them."""
    fallbacks = set()
    for topic in range(TOPICS):
        query = query_for(topic, 1, 1)
        others = [(topic + i) % TOPICS for i in (3, 5, 7)]
        allowed = [name for name in live() if topic_of(name) in others]
        fits: dict[Id, float] = {
            name: s for name, s in scores_of(db, query).items() if name in allowed
        }
        for nprobe in (1, 2, 32):
            profile = db.profile(query, k, filter={"topic": {"$in": others}}, nprobe=nprobe)
            check_hits(profile.hits, fits, k, len(query), complete=False)
            assert profile.plan == plan.LISTS
            fallbacks.add((nprobe, profile.fallback))
            if profile.fallback:  # by lists at first, then by all codes
                assert profile.lists > 0
                assert profile.postings > sum(len(vectors) for vectors in db.vectors(allowed))
    assert (1, plan.INTERACTION) in fallbacks
    assert (32, "") in fallbacks
    assert {fallback for _, fallback in fallbacks} == {plan.INTERACTION, ""}


def test_a_batch_on_any_number_of_threads_is_single_calls(db: mvdb.Database) -> None:
    queries = [query_for(i % TOPICS, i, 1 + i % 40) for i in range(60)]
    options: list[dict[str, Any]] = [
        {},
        {"nprobe": 2},
        {"filter": {"topic": {"$gt": 2}}},
        {"ids": list(range(100, 500)), "candidates": 50},
        {"exact": True},
    ]
    for option in options:
        single = [pairs(db.search(query, 7, **option)) for query in queries]
        for threads in (1, 2, 3, 16):
            batch = db.search_batch(queries, 7, threads=threads, **option)
            assert [pairs(hits) for hits in batch] == single, (option, threads)
