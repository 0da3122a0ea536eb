"""What an application asks without a query: how many, which values, which documents, the next page.

The reference is a loop over the metadata in plain Python (tests/catalogue/browse_model.py)."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mvdb
from mvdb.limits import Limits
from tests.catalogue import browse_model, brute
from tests.helpers import DIM, matrix
from tests.support.model import Id, id_order
from tests.support.opening import opened

BIG = 2**70
PATHS = ("a", "b", "a.b", "lang", "no such field", "")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, -3, BIG, -BIG, 2**53, 2**53 + 1]),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, float(2**53), float(BIG)]),
    st.sampled_from(["", "a", "b", "ä", "a\0", "𝄞", "ﬀ", "1"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b", "c"]), inner, max_size=2)
    ),
    max_leaves=5,
)
metadata = st.none() | st.dictionaries(st.sampled_from(["a", "b", "a.b", "lang"]), values)
collections = st.lists(metadata, min_size=1, max_size=12)


def write(db: mvdb.Database, documents: dict[Id, Any]) -> None:
    names = list(documents)
    db.insert(
        names,
        [matrix(i, 1 + i % 3) for i in range(len(names))],
        texts=[f"text of {name!r}" for name in names],
        metadata=list(documents.values()),
    )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[mvdb.Database, dict[Id, Any]]]:
    """Some hundred documents of all kinds in several segments, one of them with lists and an order
    of its own, with deletions; and their metadata."""
    limits = Limits(train_documents=100, listed_tokens=200, cluster_documents=8, fanout=100)
    chance = random.Random(7)
    documents: dict[Id, Any] = {}
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        for part in range(5):
            fresh: dict[Id, Any] = {}
            for i in range(150 if part == 0 else 20):
                name: Id = 1000 * part + i if chance.random() < 0.5 else f"{chance.random()}"
                fresh[name] = {
                    "n": chance.choice([chance.randrange(20), chance.randrange(20) / 2]),
                    "lang": chance.choice(["de", "en", "fr"]),
                    "tags": chance.sample(["x", "y", "z", 1, None], chance.randrange(4)),
                    "unique": f"{part} {i}",
                }
                if chance.random() < 0.2:
                    fresh[name] = None
            write(db, fresh)
            documents |= fresh
        gone = chance.sample(list(documents), 30)
        db.delete(gone)
        for name in gone:
            del documents[name]
        assert db.stats().segments == 5
        yield db, documents


# ---- count and facets ----


def shown(found: list[tuple[Any, int]]) -> list[tuple[browse_model.Rank, int]]:
    return [(browse_model.rank(value), count) for value, count in found]


def test_counts_are_those_of_a_loop(shop: tuple[mvdb.Database, dict[Id, Any]]) -> None:
    db, documents = shop
    assert db.count() == len(documents)
    for filter in ({}, {"lang": "de"}, {"n": {"$gte": 5}}, {"tags": "x"}, {"none": 1}):
        fits = {n: m for n, m in documents.items() if brute.matches(m, filter)}
        assert db.count(filter) == len(fits), filter
        for path in ("lang", "n", "tags", "unique", "none"):
            expected = browse_model.facets(fits, path)
            assert shown(db.facets(path, filter=filter, limit=None)) == expected, (filter, path)
            assert shown(db.facets(path, filter=filter, limit=3)) == expected[:3]
            assert shown(db.facets(path, filter=filter)) == expected[:100]


@given(some=collections, field=st.sampled_from(PATHS), limit=st.integers(1, 5))
def test_any_metadata(
    tmp_path_factory: pytest.TempPathFactory, some: Any, field: str, limit: int
) -> None:
    """Objects in lists, lists in lists, numbers of all kinds: values are counted and ordered as
    filters see them."""
    documents: dict[Id, Any] = dict(enumerate(some))
    path = tmp_path_factory.mktemp("any") / "a.mvdb"
    with mvdb.open(path, dim=DIM, durability="relaxed", background=False) as db:
        half = len(some) // 2
        for part in (range(half), range(half, len(some))):
            write(db, {i: documents[i] for i in part})
        found = db.facets(field, limit=None)
        assert shown(found) == browse_model.facets(documents, field)
        assert db.facets(field, limit=limit) == found[:limit]
        for value, count in found:
            assert db.count({field: value}) == count
        for descending in (False, True):
            expected = browse_model.listed(documents, field, descending=descending)
            assert names(db, order_by=field, descending=descending) == expected
            at = limit % len(expected)
            for after in (expected[at], db.get(expected[at])[0]):
                rest = names(db, order_by=field, descending=descending, after=after)
                assert rest == expected[at + 1 :]


def test_a_document_counts_once_for_each_of_its_values(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        some = [
            {"t": ["x", "x", "y"]},
            {"t": "x"},
            {"t": [["x"], {"u": "x"}]},
            {"t": [1, 1.0, True]},
            {"t": 1.0},
            {"t": {"u": [1, {"v": 2}]}},
        ]
        write(db, dict(enumerate(some)))
        assert db.facets("t") == [("x", 3), (1, 2), (True, 1), ("y", 1)]
        found = db.facets("t")
        assert [type(value) for value, _ in found] == [str, int, bool, str]
        assert db.facets("t.u") == [(1, 1), ("x", 1)]
        assert db.facets("t.u.v") == [(2, 1)]


def test_values_that_two_columns_have(tmp_path: Path) -> None:
    """Plain in one object of a list, an element in another; 1 and 1.0 side by side."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        both = {"a": [{"b": 1}, {"b": [1.0, 2]}, {"b": "s"}, {"b": ["s", "t"]}]}
        write(db, dict.fromkeys(range(20), both))
        assert db.facets("a.b") == [(1, 20), (2, 20), ("s", 20), ("t", 20)]
        assert db.facets("a.b", filter={"a.b": 1}, limit=1) == [(1, 20)]


def test_own_writes_and_snapshots(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        write(db, {i: {"n": i % 2} for i in range(10)})
        with db.snapshot() as before:
            with db.transaction() as txn:
                txn.delete(filter={"n": 0})
                txn.update(1, metadata={"n": 7})
                txn.insert("new", matrix(1), metadata={"n": 7})
                assert txn.count() == txn.count({}) == 6
                assert txn.facets("n") == [(1, 4), (7, 2)]
                assert list(txn.ids({"n": 7})) == names(txn, {"n": 7}) == [1, "new"]
                assert names(txn, order_by="n") == [3, 5, 7, 9, 1, "new"]
                assert db.count({"n": 7}) == 0
            assert db.count({"n": 7}) == 2
            assert before.count({"n": 0}) == 5
            assert before.facets("n") == [(0, 5), (1, 5)]


# ---- lists ----


def names(db: Any, filter: Any = None, **options: Any) -> list[Id]:
    return [document.id for document in db.documents(filter, **options)]


def test_lists_are_those_of_a_loop(shop: tuple[mvdb.Database, dict[Id, Any]]) -> None:
    db, documents = shop
    for filter in (None, {}, {"lang": "de"}, {"n": {"$lt": 3}}, {"tags": "x"}, {"none": 1}):
        fits = {n: m for n, m in documents.items() if brute.matches(m, filter or {})}
        in_order = sorted(fits, key=id_order)
        assert list(db.ids(filter)) == names(db, filter) == in_order
        for field in ("n", "tags", "unique", "none"):
            for descending in (False, True):
                expected = browse_model.listed(fits, field, descending=descending)
                order: dict[str, Any] = {"order_by": field, "descending": descending}
                assert names(db, filter, **order) == expected
                assert names(db, filter, **order, limit=7) == expected[:7]


def test_documents_are_those_that_get_gives(shop: tuple[mvdb.Database, dict[Id, Any]]) -> None:
    db, documents = shop
    assert list(db.documents()) == db.get(sorted(documents, key=id_order))
    for document in db.documents(order_by="n"):
        assert document.text == f"text of {document.id!r}"
        assert document.metadata == documents[document.id]


@pytest.mark.parametrize("order", [{}, {"order_by": "n"}, {"order_by": "n", "descending": True}])
@pytest.mark.parametrize("by_id", [True, False])
def test_pages_follow_each_other(
    shop: tuple[mvdb.Database, dict[Id, Any]], order: dict[str, Any], by_id: bool
) -> None:
    db, documents = shop
    with db.snapshot() as snapshot:
        db.delete(list(documents)[::2])  # the snapshot is not affected
        found: list[Id] = []
        after: Any = None
        while page := list(snapshot.documents(**order, after=after, limit=9)):
            found += [document.id for document in page]
            assert len(found) <= len(documents), "pages repeat documents"
            after = page[-1].id if by_id else page[-1]
        if order:
            descending = "descending" in order
            assert found == browse_model.listed(documents, "n", descending=descending)
        else:
            assert found == sorted(documents, key=id_order)


def test_a_page_begins_behind_a_document_that_is_gone(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        write(db, {i: {"n": -i} for i in range(10)})
        five = db.get(5)[0]
        db.delete(5)
        assert names(db, after=5) == names(db, after=five) == [6, 7, 8, 9]
        assert names(db, order_by="n", after=five) == [4, 3, 2, 1, 0]
        with pytest.raises(mvdb.NotFoundError, match=r"^after: no document has the id 5"):
            names(db, order_by="n", after=5)
        assert names(db, after="last") == []
        assert names(db, after=-1) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_commits_between_two_pages(tmp_path: Path) -> None:
    """A document that stays as it is, is given once, whatever happens to the others."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed", background=False) as db:
        stay = {i: {"n": i % 7} for i in range(0, 3000, 2)}
        write(db, {i: {"n": i % 7} for i in range(3000)})
        for order in ({}, {"order_by": "n"}):
            found = []
            for at, document in enumerate(db.documents(**order)):  # type: ignore[arg-type]
                found.append(document.id)
                if at % 400 == 0:
                    db.delete([name for name in range(at + 1, at + 100) if name % 2])
                    db.update(at // 2 * 2 + 1, metadata=None) if at // 2 * 2 + 1 in db else None
                    db.upsert(100_001 + at, matrix(1), metadata={"n": 3})
            assert [name for name in found if name in stay and name % 2 == 0] == (
                browse_model.listed(stay, "n") if order else sorted(stay)
            )


def test_many_documents_of_one_value(tmp_path: Path) -> None:
    """More than are sorted in memory: the table of ids is walked instead, with the same result."""
    rng = np.random.default_rng(3)
    n = 3000
    order = rng.permutation(n).tolist()
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed", background=False) as db:
        db.insert(
            order, rng.standard_normal((n, 1, DIM)), metadata=[{"one": 1, "n": i} for i in order]
        )
        assert names(db, order_by="one") == list(range(n))
        assert names(db, order_by="one", after=1500, limit=3) == [1501, 1502, 1503]
        assert list(db.ids({"one": 1})) == list(range(n))
        assert names(db, {"n": {"$gte": 2000}}, order_by="one", limit=2) == [2000, 2001]
        assert list(db.ids({"n": {"$in": [7, 2999]}})) == [7, 2999]
        assert names(db, {"n": {"$lt": 5}}, order_by="one", descending=True) == [0, 1, 2, 3, 4]


def test_an_iterator_is_lazy_and_may_be_left(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    db = mvdb.open(path, dim=DIM, background=False)
    write(db, {i: {"n": i} for i in range(300)})
    listing = db.documents(order_by="n")
    assert [document.id for document in islice(listing, 3)] == [0, 1, 2]
    db.compact()  # no transaction of the iterator stands in its way
    assert len(list(listing)) == 297
    listing = db.documents()
    next(listing)
    db.close()
    with pytest.raises(mvdb.ClosedError):
        list(listing)


def test_memory_follows_the_page(tmp_path: Path) -> None:
    """Texts of 1 MB, a gigabyte in all: few of them are held at a time."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as db:
        for first in range(0, 1000, 50):
            text = "x" * 1_000_000
            db.insert(list(range(first, first + 50)), [matrix(1)] * 50, texts=[text] * 50)
        tracemalloc.start()
        try:
            assert sum(len(document.text or "") for document in db.documents()) == 10**9
            assert tracemalloc.get_traced_memory()[1] < 40 << 20
        finally:
            tracemalloc.stop()


def test_readers_in_threads(shop: tuple[mvdb.Database, dict[Id, Any]]) -> None:
    db, documents = shop
    expected = browse_model.listed(documents, "n")
    results: list[Any] = []

    def read() -> None:
        results.append((names(db, order_by="n"), db.count({"lang": "de"}), db.facets("lang")))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(result == results[0] for result in results)
    assert results[0][0] == expected


# ---- bad input ----


@pytest.mark.parametrize(
    ("call", "options", "error", "message"),
    [
        ("count", {"filter": {"$x": 1}}, mvdb.FilterError, "filter.$x"),
        ("facets", {"field": "a", "filter": {"a": {"$gt": []}}}, mvdb.FilterError, "filter.a.$gt"),
        ("ids", {"filter": []}, mvdb.FilterError, "filter: "),
        ("documents", {"filter": 5}, mvdb.FilterError, "filter: "),
        ("documents", {"descending": True}, mvdb.InvalidInputError, "descending: "),
        ("documents", {"after": 2**64}, mvdb.InvalidInputError, "after: "),
        ("documents", {"after": True}, mvdb.InvalidInputError, "after: "),
        ("documents", {"after": ""}, mvdb.InvalidInputError, "after: "),
        ("documents", {"after": ["a"]}, mvdb.InvalidInputError, "after: "),
        (
            "documents",
            {"order_by": "n", "after": mvdb.Document(1, None, {"n": {1}}, 1)},
            mvdb.InvalidInputError,
            "after: metadata.n",
        ),
    ],
)
def test_bad_arguments_are_refused_at_the_call(
    tmp_path: Path, call: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db, pytest.raises(error) as caught:
        getattr(db, call)(**options)
    assert message in str(caught.value)


def test_an_empty_database(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        assert (db.count(), db.count({}), db.facets("a")) == (0, 0, [])
        assert list(db.ids({})) == list(db.documents()) == list(db.documents(order_by="a")) == []
