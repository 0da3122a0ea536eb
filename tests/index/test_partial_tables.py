"""Searches of a codebook so large that tables of centroid scores have its nearest groups alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from tests.index.files import LISTED
from tests.support.model import unit
from tests.support.opening import by_lists, opened

DIM, DOCUMENTS, TOKENS = 16, 4_000, 60
LARGE = 8_192
"""Centroids from which on tables are partial."""

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def rows() -> Floats:
    """Token vectors (documents, tokens, dim): each document has a topic, each token strays from
    it."""
    rng = np.random.default_rng(3)
    topics = rng.standard_normal((400, DIM))
    own = topics[rng.integers(0, len(topics), DOCUMENTS)]
    strayed = own[:, None, :] + rng.standard_normal((DOCUMENTS, TOKENS, DIM))
    return unit(strayed.reshape(-1, DIM)).reshape(DOCUMENTS, TOKENS, DIM).astype(np.float32)


@pytest.fixture(scope="module")
def db(rows: Floats, tmp_path_factory: pytest.TempPathFactory) -> Iterator[mvdb.Database]:
    path = tmp_path_factory.mktemp("partial") / "large.mvdb"
    lengths = np.full(DOCUMENTS, TOKENS)
    with opened(path, by_lists(LISTED, candidates=512), dim=DIM, bits=4) as database:
        database.insert(list(range(DOCUMENTS)), (rows.reshape(-1, DIM), lengths))
        database.optimize()
        assert database.stats().centroids >= LARGE
        yield database


@pytest.fixture(scope="module", params=[8, 40])
def queries(request: pytest.FixtureRequest, rows: Floats) -> list[Floats]:
    """Of one block of query tokens and of two."""
    rng = np.random.default_rng(4)
    chosen = rng.integers(0, DOCUMENTS, 25)
    picked = [rng.integers(0, TOKENS, request.param) for _ in chosen]
    tokens = [rows[document, which] for document, which in zip(chosen, picked, strict=True)]
    return [unit(one + 0.2 * rng.standard_normal(one.shape)).astype(np.float32) for one in tokens]


def test_the_best_are_found_with_the_scores_of_all_tokens(
    db: mvdb.Database, queries: list[Floats]
) -> None:
    found = 0
    for query in queries:
        profile = db.profile(query, 10)
        assert profile.plan == "lists"
        assert profile.candidates <= 512
        exact = db.search(query, 10, exact=True)
        expected = {hit.id: hit.score for hit in db.rerank(query, [hit.id for hit in profile.hits])}
        assert {hit.id: hit.score for hit in profile.hits} == expected
        assert profile.hits[0] == exact[0]
        found += len({hit.id for hit in profile.hits} & {hit.id for hit in exact})
    assert found >= 0.99 * 10 * len(queries)  # .95 without step 5 of search.py


def test_each_plan_takes_the_groups_that_it_needs(db: mvdb.Database, rows: Floats) -> None:
    """Few to probe lists, more to scan all codes: rows of centroid scores that were computed."""

    def computed(database: mvdb.Database, plan: str) -> int:
        assert database.profile(rows[0, :1], 10).plan == plan
        return database._engine.queries._free[-1].counts[0]

    n_centroids = db.stats().centroids
    listed = computed(db, "lists")
    with opened(db.path, replace(by_lists(LISTED, candidates=512), list_cost=math.inf)) as other:
        scanned = computed(other, "interaction")
    assert 0 < listed < n_centroids / 8
    assert listed < scanned < n_centroids / 3


def test_more_hits_than_are_scored_by_all_tokens_in_any_case(
    db: mvdb.Database, queries: list[Floats]
) -> None:
    hits = db.search(queries[0], 100)
    assert len(hits) == 100
    assert hits == db.rerank(queries[0], [hit.id for hit in hits])
