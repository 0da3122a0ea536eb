"""Pages, groups, diversity, chosen fields and similar documents, against plain Python over the
scores of `db.vectors`."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, matrix
from tests.support.model import SCORE_TOLERANCE, id_order
from tests.support.opening import opened

COUNT = 240
PATHS: list[Any] = ["a.md", "b.md", "c/d.md", 7, 7.0, 2**70, True, 1, "", None]
SMALL = Limits(train_documents=60, flush_bytes=4000, listed_tokens=150, base_tokens=16)
"""Trained codebooks, several segments, posting lists."""


def metadata_of(number: int) -> dict[str, Any] | None:
    """Metadata whose field `path` has values of all types, is in a list, is null or missing."""
    if number % 11 == 0:
        return None
    value = PATHS[(number * number + number // 7) % len(PATHS)]
    if number % 13 == 0:
        value = ["zz", value, "b.md"]
    if number % 17 == 0:
        return {"other": 1}
    return {"path": value, "deep": {"path": number % 3}, "n": number}


def group_of(number: int) -> Any:
    """The group that the documentation gives the document."""
    fields = metadata_of(number)
    values = [] if fields is None or "path" not in fields else fields["path"]
    values = values if isinstance(values, list) else [values]
    values = [one for one in values if one is not None]
    if not values:
        return ("alone", number)

    def order(one: Any) -> tuple[int, Any]:
        if isinstance(one, bool):
            return int(one), 0
        return (3, one) if isinstance(one, str) else (2, one)

    return order(min(values, key=order))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mvdb.Database]:
    path = tmp_path_factory.mktemp("arrangement") / "a.mvdb"
    with opened(path, SMALL, dim=DIM, durability="relaxed", background=False) as made:
        numbers = list(range(COUNT + 20))
        for first in range(0, len(numbers), 50):
            part = numbers[first : first + 50]
            made.insert(
                part,
                [vectors_of(number) for number in part],
                texts=[f"text {number}" for number in part],
                metadata=[metadata_of(number) for number in part],
            )
        made.delete(list(range(COUNT, COUNT + 20)))
        assert made.stats().segments > 2
        assert made.stats().centroids
        yield made


def vectors_of(number: int) -> Any:
    """Documents in clusters, so that some are near each other."""
    return matrix(number % 9, 4) + 0.4 * matrix(1000 + number, 4)


def scores_of(db: mvdb.Database, query: Any) -> dict[int, float]:
    """MaxSim of the stored vectors in numpy."""
    unit = query / np.linalg.norm(query, axis=1, keepdims=True)
    stored = db.vectors(list(range(COUNT)))
    return {i: float((unit @ rows.T).max(axis=1).sum()) for i, rows in enumerate(stored)}


def by_score(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda name: (-scores[name], id_order(name)))


def same_up_to_ties(found: list[Any], expected: list[Any], scores: dict[int, float]) -> None:
    """The same ids, but for documents whose scores differ by less than arithmetic does."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert math.isclose(scores[one], scores[other], abs_tol=8 * SCORE_TOLERANCE), (one, other)


# ---- pages ----


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("k", [1, 7, 10, 64])
def test_pages_give_every_document_once(db: mvdb.Database, exact: bool, k: int) -> None:
    query = matrix(5)
    with db.snapshot() as snapshot:
        pages = []
        for offset in range(0, COUNT + k, k):
            pages.append([hit.id for hit in snapshot.search(query, k, offset=offset, exact=exact)])
    assert pages[0] == [hit.id for hit in db.search(query, k, exact=exact)]
    assert pages[-1] == []
    everything = [name for page in pages for name in page]
    assert sorted(everything, key=id_order) == list(range(COUNT))
    if exact:
        assert everything == [hit.id for hit in db.search(query, COUNT, exact=True)]
        same_up_to_ties(everything, by_score(scores_of(db, query)), scores_of(db, query))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 50),
    k=st.integers(1, 40),
    candidates=st.integers(1, 30),
    nprobe=st.integers(1, 3),
    options=st.fixed_dictionaries(
        {},
        optional={
            "group_by": st.sampled_from(["path", "deep.path", "n"]),
            "group_size": st.integers(1, 3),
            "diversity": st.sampled_from([0.3, 1.0]),
            "filter": st.just({"n": {"$lt": 100}}),
        },
    ),
)
def test_pages_never_overlap_and_lose_nothing(
    db: mvdb.Database, seed: int, k: int, candidates: int, nprobe: int, options: dict[str, Any]
) -> None:
    """Few candidates make a ranking depend on k; pages fit together all the same."""
    query = matrix(seed)
    kwargs: dict[str, Any] = {"candidates": candidates, "nprobe": nprobe, **options}
    found: list[Any] = []
    for offset in range(0, 2 * COUNT, k):
        hits = db.search(query, k, offset=offset, **kwargs)
        if not hits:
            break
        found += [hit.id for hit in hits]
    assert len(set(found)) == len(found)
    allowed = {
        number
        for number in range(COUNT)
        if "filter" not in options or (metadata_of(number) or {}).get("n", 999) < 100
    }
    if "group_by" not in options:
        assert set(found) == allowed
    else:
        assert set(found) <= allowed
        assert {_group(options["group_by"], name) for name in found} == {
            _group(options["group_by"], number) for number in allowed
        }


def _group(path: str, number: int) -> Any:
    if path == "path":
        return group_of(number)
    value: Any = metadata_of(number) or {}
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return ("alone", number) if value is None else value


def test_min_score_ends_the_pages(db: mvdb.Database) -> None:
    query = matrix(5)
    ranking = db.search(query, COUNT, exact=True)
    least = ranking[24].score
    pages = [
        db.search(query, 10, offset=offset, exact=True, min_score=least)
        for offset in (0, 10, 20, 30)
    ]
    assert [hit.id for page in pages for hit in page] == [hit.id for hit in ranking[:25]]


# ---- groups ----


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 50),
    k=st.integers(1, 60),
    offset=st.integers(0, 30),
    size=st.integers(1, 4),
)
def test_groups_are_those_of_the_whole_ranking(
    db: mvdb.Database, seed: int, k: int, offset: int, size: int
) -> None:
    query = matrix(seed)
    scores = scores_of(db, query)
    members: dict[Any, list[int]] = {}
    for number in by_score(scores):
        members.setdefault(group_of(number), []).append(number)
    chosen = list(members)[offset : offset + k]
    expected = by_score({n: scores[n] for group in chosen for n in members[group][:size]})
    hits = db.search(query, k, offset=offset, group_by="path", group_size=size, exact=True)
    same_up_to_ties([hit.id for hit in hits], expected, scores)


def test_a_large_group_does_not_hide_the_others(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as made:
        query = matrix(1, 2)
        made.insert(
            list(range(600)),
            [query if i < 590 else matrix(i) for i in range(600)],
            metadata=[{"path": "big" if i < 590 else str(i)} for i in range(600)],
        )
        hits = made.search(query, 5, group_by="path")
        assert hits[0].id == 0
        assert len({hit.metadata["path"] for hit in hits if hit.metadata}) == 5
        assert len(made.search(query, 100, group_by="path")) == 11


def test_a_field_that_no_document_has_is_refused(db: mvdb.Database, tmp_path: Path) -> None:
    for name in ("pathh", "path.x", ""):
        with pytest.raises(mvdb.InvalidInputError, match=f"^group_by: .*'{name}'"):
            db.search(matrix(1), group_by=name)
    with mvdb.open(tmp_path / "empty.mvdb", dim=DIM) as empty:
        assert empty.search(matrix(1), group_by="path") == []


def test_own_writes_are_grouped(db: mvdb.Database) -> None:
    query = matrix(77)
    txn = db.transaction()
    txn.insert(["new", "newer"], [query, query], metadata=[{"path": "new.md"}] * 2)
    hits = txn.search(query, 3, group_by="path")
    assert hits[0].id == "new"
    assert "newer" not in [hit.id for hit in hits]
    txn.rollback()


# ---- diversity ----


def mmr(db: mvdb.Database, query: Any, k: int, pool: list[int], diversity: float) -> list[int]:
    """Carbonell and Goldstein's rule, written out."""
    scores = scores_of(db, query)
    values = np.array([scores[name] for name in pool])
    relevance = (values - values.min()) / (values.max() - values.min())
    means = np.stack([rows.mean(axis=0, dtype=np.float64) for rows in db.vectors(list(pool))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    chosen: list[int] = []
    while len(chosen) < min(k, len(pool)):
        best, best_value = -1, -np.inf
        for i in range(len(pool)):
            if i in chosen:
                continue
            value = (1 - diversity) * relevance[i]
            if chosen:
                value -= diversity * max(float(means[i] @ means[j]) for j in chosen)
            if value > best_value + 1e-9:
                best, best_value = i, value
        chosen.append(best)
    return [pool[i] for i in chosen]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 30), k=st.integers(1, 20), diversity=st.sampled_from([0.1, 0.5, 0.9]))
def test_diversity_is_maximal_marginal_relevance(
    db: mvdb.Database, seed: int, k: int, diversity: float
) -> None:
    query = matrix(seed)
    ranking: list[Any] = [hit.id for hit in db.search(query, COUNT, exact=True)]
    pool = ranking[: max(50, 4 * k)]
    hits = db.search(query, k, diversity=diversity, exact=True)
    assert [hit.id for hit in hits] == mmr(db, query, k, pool, diversity)


def test_more_diversity_brings_less_similar_documents(db: mvdb.Database) -> None:
    def likeness(diversity: float) -> float:
        names = [hit.id for hit in db.search(matrix(3), 8, diversity=diversity)]
        means = np.stack([rows.mean(axis=0) for rows in db.vectors(names)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        cosines = means @ means.T
        return float(cosines[np.triu_indices(len(names), 1)].mean())

    assert likeness(0.0) > likeness(0.5) > likeness(1.0)
    assert db.search(matrix(3), 8, diversity=0) == db.search(matrix(3), 8)


def test_diversity_among_groups(db: mvdb.Database) -> None:
    hits = db.search(matrix(3), 6, diversity=0.6, group_by="path", group_size=2)
    groups = [group_of(int(hit.id)) for hit in hits]
    assert len(set(groups)) == 6
    firsts = [group for at, group in enumerate(groups) if not at or groups[at - 1] != group]
    assert len(firsts) == 6  # the hits of a group stand together


# ---- fields ----


def test_fields_choose_what_hits_carry(db: mvdb.Database) -> None:
    def carried(fields: Any) -> list[tuple[str | None, Any]]:
        hits = db.search(matrix(1), COUNT, fields=fields)
        assert len(hits) == COUNT
        return [(hit.text, hit.metadata) for hit in sorted(hits, key=lambda hit: hit.id)]

    def part(number: int) -> Any:
        fields = metadata_of(number)
        if fields is None:
            return None
        deep = {"deep": {"path": fields["deep"]["path"]}} if "deep" in fields else {}
        return {**({"n": fields["n"]} if "n" in fields else {}), **deep}

    numbers = range(COUNT)
    assert carried(()) == [(None, None)] * COUNT
    assert carried("text") == [(f"text {i}", None) for i in numbers]
    assert carried(["metadata"]) == [(None, metadata_of(i)) for i in numbers]
    assert carried({"text", "metadata", "metadata.n"}) == carried(None)
    ordered = carried(("metadata.n", "metadata.deep.path"))
    for (text, fields), number in zip(ordered, numbers, strict=True):
        assert text is None
        assert fields == part(number)


def test_paths_reach_into_lists_and_keys_with_dots(tmp_path: Path) -> None:
    fields = {"a.b": 1, "a": {"b": 2, "c": 3}, "l": [{"x": 1, "y": 2}, {"y": 3}, 4], "z": {}}
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as made:
        made.insert("one", matrix(1), metadata=fields)

        def carried(*paths: str) -> Any:
            names = [f"metadata.{path}" for path in paths]
            return made.search(matrix(1), fields=names)[0].metadata

        assert carried("a.b") == {"a.b": 1, "a": {"b": 2}}
        assert carried("a") == {"a": {"b": 2, "c": 3}}
        assert carried("l.x", "z") == {"l": [{"x": 1}], "z": {}}
        assert carried("none", "a.b.c", "l.x.y") == {}


def test_chosen_fields_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=DIM) as made:
        made.insert([1, 2], [matrix(1), matrix(2)], texts=["a", "b"], metadata=[{"n": 1}, {"n": 2}])
        hits = made.search(matrix(1), fields=("text", "metadata.n"))
        bare = made.search(matrix(1), fields=())
        made.delete([1, 2])
    assert {(hit.id, hit.text, hit.metadata["n"]) for hit in hits if hit.metadata} == {
        (1, "a", 1),
        (2, "b", 2),
    }
    assert [(hit.text, hit.metadata) for hit in bare] == [(None, None)] * 2
    assert pickle.loads(pickle.dumps(hits))[0].text == hits[0].text


# ---- similar documents ----


def test_more_like_searches_with_the_stored_vectors(db: mvdb.Database) -> None:
    stored = db.vectors([17])[0]
    expected = [hit for hit in db.search(stored, 11, exact=True) if hit.id != 17]
    found = db.more_like(17, exact=True)
    assert [hit.id for hit in found] == [hit.id for hit in expected][:10]
    # Its neighbours are of its own cluster.
    assert {int(hit.id) % 9 for hit in found} == {17 % 9}
    assert len(db.more_like(17, COUNT)) == COUNT - 1
    assert db.more_like(17, ids=[17]) == []
    assert len(db.more_like(17, 5, group_by="path")) == 5
    for missing in (COUNT, "17", 10**6):
        with pytest.raises(mvdb.NotFoundError, match=f"{missing!r}"):
            db.more_like(missing)


def test_more_like_takes_at_most_64_tokens(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, bits=16) as made:
        long = matrix(1, 5000)
        made.insert(["long", "same", "other"], [long, long[::-1], matrix(3, 40)])
        hits = made.more_like("long")
        assert [hit.id for hit in hits] == ["same", "other"]
        assert hits[0].score == pytest.approx(64, abs=64 * SCORE_TOLERANCE)


def test_more_like_sees_one_state(db: mvdb.Database) -> None:
    txn = db.transaction()
    txn.insert("twin", vectors_of(17))
    assert txn.more_like("twin", 1)[0].id == 17
    assert txn.more_like(17, 1)[0].id == "twin"
    txn.rollback()
    assert db.more_like(17, 1)[0].id != "twin"
