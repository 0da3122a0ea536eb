"""`Hit.relevance` and `min_relevance`: "nothing found" is told from something found."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from tests.support.model import unit

DIM = 64
Matrix = NDArray[np.float32]


def tokens(rng: np.random.Generator, words: Matrix, n: int) -> Matrix:
    """Noisy occurrences of words of a topic."""
    noise = 0.08 * rng.standard_normal((n, DIM))
    return unit(words[rng.integers(0, len(words), n)] + noise).astype(np.float32)


class World:
    """Ten topics of twelve words; the collection is about the first eight."""

    def __init__(self) -> None:
        rng = np.random.default_rng(17)
        topics = unit(rng.standard_normal((10, 12, DIM))).astype(np.float32)
        self.documents = [tokens(rng, topics[i % 8], 40) for i in range(120)]
        self.answerable = [tokens(rng, topics[i % 8], 9) for i in range(24)]
        self.strangers = [tokens(rng, topics[8 + i % 2], 9) for i in range(24)]


WORLD = World()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=DIM, bits=4, background=False) as db:
        db.insert(list(range(len(WORLD.documents))), WORLD.documents)
    return path


def relevances(db: mvdb.Database, queries: list[Matrix]) -> list[float | None]:
    """Of the best document of each query."""
    return [hits[0].relevance for hits in db.search_batch(queries, 1)]


def test_questions_are_told_from_strangers(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        assert relevances(db, WORLD.answerable) == [None] * 24
        db.optimize()
        answers, strangers = (relevances(db, one) for one in (WORLD.answerable, WORLD.strangers))
    assert all(one is not None and 0.5 < one <= 1 for one in answers)
    assert all(one is not None and 0 <= one < 0.5 for one in strangers)
    with mvdb.open(path, readonly=True) as db:
        assert relevances(db, WORLD.answerable) == answers
        assert db.verify().ok


@pytest.mark.parametrize("readonly", [False, True])
def test_min_relevance_drops_the_others_without_optimize(path: Path, readonly: bool) -> None:
    with mvdb.open(path, readonly=readonly, background=False) as db:
        assert not any(db.search_batch(WORLD.strangers, 5, min_relevance=0.5))
        assert all(db.search_batch(WORLD.answerable, 5, min_relevance=0.5))
        every = db.search(WORLD.answerable[0], 120, exact=True)
        for least in (0.0, 0.2, 0.5, 0.9, 1.0):
            hits = db.search(WORLD.answerable[0], 120, exact=True, min_relevance=least)
            assert hits == [one for one in every if (one.relevance or 0) >= least]
        with db.snapshot() as snapshot:
            assert snapshot.search(WORLD.strangers[0], min_relevance=0.5) == []


def test_the_stricter_of_two_bounds_counts(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        db.optimize()
        hits = db.search(WORLD.answerable[0], 20)
        score = hits[3].score
        strict = db.search(WORLD.answerable[0], 20, min_score=score, min_relevance=0.01)
        assert strict == hits[:4]
        assert db.search(WORLD.answerable[0], 20, min_score=-1.0, min_relevance=1.0) == []


def test_relevance_follows_the_score_and_survives_pickling(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        db.optimize()
        hits = db.search(WORLD.answerable[1], 30)
        found = [hit.relevance for hit in hits]
        assert found == sorted(found, reverse=True)
        assert [hit.relevance for hit in pickle.loads(pickle.dumps(hits))] == found
        again = db.rerank(WORLD.answerable[1], [hit.id for hit in hits])
        assert [hit.relevance for hit in again] == found
        assert db.more_like(3)[0].relevance is not None


def test_optimize_measures_again_when_the_collection_doubled_or_halved(path: Path) -> None:
    steps: list[str] = []

    def measures(db: mvdb.Database) -> bool:
        steps.clear()
        db.optimize(progress=steps.append)
        return "relevance" in steps

    with mvdb.open(path, background=False) as db:
        assert measures(db)
        assert not measures(db)
        db.insert(list(range(200, 240)), WORLD.documents[:40])
        assert not measures(db)
        db.insert(list(range(300, 420)), WORLD.documents)
        assert measures(db)
        db.delete(list(range(300, 420)) + list(range(50)))
        assert measures(db)
        assert relevances(db, WORLD.answerable) != [None] * 24


def test_a_search_by_words_alone_has_no_relevance(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        db.insert("a", WORLD.documents[0], texts="error E1279 on the line")
        db.optimize()
        assert [hit.relevance for hit in db.search(text="E1279")] == [None]
        with pytest.raises(mvdb.InvalidInputError, match="min_relevance"):
            db.search(text="E1279", min_relevance=0.5)


def test_in_a_hybrid_search_the_number_is_relevant(path: Path) -> None:
    """The vectors of the query are of topics that no document has."""
    with mvdb.open(path, background=False) as db:
        db.insert("a", WORLD.documents[0], texts="error E1279 on the line")
        db.insert("b", WORLD.documents[1], texts="error E1278 on the line")
        db.optimize()
        stranger = WORLD.strangers[0]
        hits = db.search(stranger, text="E1279", min_relevance=0.5)
        assert [(hit.id, hit.relevance) for hit in hits] == [("a", 1.0)]
        assert db.search(stranger, text="line", min_relevance=0.5) == []
        every = db.search(stranger, 200, text="what is error E1279?", exact=True)
        assert len(every) > 100
        for least in (0.0, 0.01, 0.5, 0.99):
            hits = db.search(stranger, 200, text="what is error E1279?", min_relevance=least)
            assert {hit.id for hit in hits} == {
                hit.id for hit in every if (hit.relevance or 0) >= least
            }


def test_without_another_document_there_is_no_level(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "b.mvdb", dim=DIM, background=False) as db:
        assert db.search(WORLD.strangers[0], min_relevance=0.5) == []
        db.insert("only", WORLD.documents[0])
        db.optimize()
        hits = db.search(WORLD.strangers[0], min_relevance=0.5)
        assert [(hit.id, hit.relevance) for hit in hits] == [("only", None)]


def test_the_commit_that_trains_measures(tmp_path: Path) -> None:
    documents = [WORLD.documents[i % 120] for i in range(1000)]
    with mvdb.open(tmp_path / "b.mvdb", dim=DIM, background=False) as db:
        db.insert(list(range(999)), documents[:999])
        assert db.stats().relevance_level is None
        db.insert(999, documents[999])
        level = db.stats().relevance_level
        assert level is not None
        assert 0 < level <= 1
        assert all((one or 0) > 0.5 for one in relevances(db, WORLD.answerable))
        assert all((one or 0) < 0.5 for one in relevances(db, WORLD.strangers))
        assert db.verify().ok


def test_a_transaction_that_is_rolled_back_leaves_no_level(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "b.mvdb", dim=DIM, background=False) as db:
        txn = db.transaction()
        txn.insert(list(range(1000)), [WORLD.documents[i % 120] for i in range(1000)])
        assert txn.search(WORLD.answerable[0])
        txn.rollback()
        assert db.stats().relevance_level is None


def test_a_measurement_can_be_cancelled(path: Path) -> None:
    steps: list[str] = []
    with mvdb.open(path, background=False) as db:
        with pytest.raises(mvdb.CancelledError):
            db.optimize(steps.append, cancel=lambda: "relevance" in steps)
        assert steps[-1] == "relevance"
        assert db.stats().relevance_level is None


def test_a_search_takes_the_level_of_the_file_as_old_as_it_is(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        db.optimize()
        db.delete(list(range(10, 120)))
    with mvdb.open(path, readonly=True) as db:
        (hit,), (again,) = (
            db.search(WORLD.answerable[0], 1, min_relevance=least) for least in (None, 0.0)
        )
        assert hit.relevance is not None
        assert again.relevance == hit.relevance
