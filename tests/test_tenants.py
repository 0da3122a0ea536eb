"""Tenants: every call sees and changes the documents of the tenant that it names, and no others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, matrix
from tests.support.model import make_query
from tests.support.opening import by_lists, opened

FULL = 500
"""Bytes of a name, or of an id."""


@pytest.fixture
def db(tmp_path: Path) -> Any:
    """Two tenants with equal ids and different content, and others around them."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, tenants=True, durability="relaxed") as made:
        for number, tenant in enumerate(["zoo", "ant", "bee", "ant 2"]):
            made.insert(
                [1, "readme", "x"],
                [matrix(10 * number + i) for i in range(3)],
                texts=[f"{tenant} {i}" for i in range(3)],
                metadata=[{"n": i, "owner": tenant} for i in range(3)],
                tenant=tenant,
            )
        yield made


def owners(hits: list[mvdb.Hit]) -> set[Any]:
    return {hit.metadata["owner"] for hit in hits if hit.metadata is not None}


def test_equal_ids_of_two_tenants_are_two_documents(db: mvdb.Database) -> None:
    for number, tenant in enumerate(["zoo", "ant", "bee"]):
        document, missing = db.get(["readme", "none"], tenant=tenant)
        assert document is not None
        assert (document.id, document.text, missing) == ("readme", f"{tenant} 1", None)
        (vectors,) = db.vectors("readme", tenant=tenant)
        unit = matrix(10 * number + 1)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        assert np.allclose(vectors, unit, atol=2e-3)
        assert list(db.ids(tenant=tenant)) == [1, "readme", "x"]
    assert db.tenants() == {"ant": 3, "ant 2": 3, "bee": 3, "zoo": 3}
    assert list(db.tenants()) == ["ant", "ant 2", "bee", "zoo"]
    assert len(db) == 12


def test_every_read_is_of_one_tenant(db: mvdb.Database) -> None:
    query, options = matrix(1), {"tenant": "ant"}
    searches = [
        db.search(query, 10, **options),
        db.search(query, 10, exact=True, **options),
        db.search(query, 10, filter={"n": {"$gte": 0}}, **options),
        db.search(query, 10, ids=[1, "readme", "x", "none"], **options),
        db.search(query, 10, diversity=0.5, **options),
        db.search(query, 10, group_by="n", **options),
        db.search_batch([query, matrix(2)], 10, **options)[1],
        db.profile(query, 10, **options).hits,
        db.rerank(query, [1, "x", "readme"], **options),
    ]
    for hits in searches:
        assert len(hits) == 3
        assert owners(hits) == {"ant"}
    assert owners(db.more_like("x", 10, **options)) == {"ant"}
    assert len(db.more_like("x", 10, **options)) == 2
    expected = {hit.id: hit.score for hit in db.search(query, exact=True, **options)}
    assert db.explain(query, "x", **options).score == expected["x"]
    assert db.count(**options) == 3
    assert db.count({"owner": "bee"}, **options) == 0
    assert db.facets("owner", **options) == [("ant", 3)]
    assert [one.text for one in db.documents(**options)] == ["ant 0", "ant 1", "ant 2"]
    by_field = db.documents(order_by="n", descending=True, after="x", **options)
    assert [one.text for one in by_field] == ["ant 1", "ant 0"]
    assert list(db.ids({"n": {"$gt": 0}}, **options)) == ["readme", "x"]
    with db.snapshot() as snapshot, db.transaction() as txn:
        assert snapshot.search(query, 10, **options) == txn.search(query, 10, **options)


def test_an_unknown_tenant_has_no_documents(db: mvdb.Database) -> None:
    query = matrix(1)
    assert db.search(query, tenant="an") == []
    assert db.rerank(query, [1], tenant="an") == []
    assert db.get([1], tenant="an") == [None]
    assert list(db.ids(tenant="an")) == list(db.documents(tenant="an")) == []
    assert (db.count(tenant="an"), db.facets("n", tenant="an")) == (0, [])
    assert (db.delete([1], tenant="an"), db.delete(filter={}, tenant="an")) == (0, 0)
    assert db.delete_tenant("an") == 0
    with pytest.raises(mvdb.NotFoundError):
        db.update(1, metadata={}, tenant="an")
    assert len(db) == 12
    assert "an" not in db.tenants()


CALLS: dict[str, Callable[[Any], object]] = {
    "search": lambda db: db.search(matrix(1)),
    "search_batch": lambda db: db.search_batch([matrix(1)]),
    "profile": lambda db: db.profile(matrix(1)),
    "more_like": lambda db: db.more_like(1),
    "rerank": lambda db: db.rerank(matrix(1), [1]),
    "explain": lambda db: db.explain(matrix(1), 1),
    "get": lambda db: db.get(1),
    "vectors": lambda db: db.vectors(1),
    "contains": lambda db: 1 in db,
    "ids": lambda db: db.ids(),
    "ids of a filter": lambda db: db.ids({}),
    "documents": lambda db: db.documents(),
    "count": lambda db: db.count(),
    "facets": lambda db: db.facets("n"),
    "insert": lambda db: db.insert("new", matrix(1)),
    "upsert": lambda db: db.upsert(1, matrix(1)),
    "update": lambda db: db.update(1, metadata={}),
    "delete": lambda db: db.delete(1),
    "delete by filter": lambda db: db.delete(filter={}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_without_a_tenant_is_refused(db: mvdb.Database, name: str) -> None:
    """An application that forgets the tenant must not get the documents of all."""
    refused = partial(pytest.raises, mvdb.InvalidInputError, match=r"^tenant: .* separates tenants")
    with refused():
        CALLS[name](db)
    with db.snapshot() as snapshot:
        if hasattr(snapshot, name) or name == "contains":
            with refused():
                CALLS[name](snapshot)
    with refused(), db.transaction() as txn:
        CALLS[name](txn)
    assert len(db) == 12


def test_insert_batches_without_a_tenant_is_refused(db: mvdb.Database) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=r"^tenant: .* separates tenants"):
        db.insert_batches([("new", matrix(1))])


@pytest.mark.parametrize(
    "value", [5, "", "x" * 10_000, "\ud800", b"a", ["a"], ["a", ""], ["a", 5], ["a", "b", "c"]]
)
def test_malformed_tenants_are_refused(db: mvdb.Database, value: Any) -> None:
    for write in (db.insert, db.upsert):
        with pytest.raises(mvdb.InvalidInputError, match=r"^tenant"):
            write(["new", "newer"], [matrix(1), matrix(2)], tenant=value)
    for read in (db.count, db.ids, lambda tenant: db.search(matrix(1), tenant=tenant)):
        with pytest.raises(mvdb.InvalidInputError, match=r"^tenant: "):
            read(tenant=value)
    assert len(db) == 12


def test_one_tenant_for_each_document(db: mvdb.Database) -> None:
    db.upsert(["x", "x", "y"], [matrix(i) for i in range(3)], tenant=["ant", "bee", "new"])
    assert db.tenants() == {"ant": 3, "ant 2": 3, "bee": 3, "new": 1, "zoo": 3}
    assert [one.text for one in db.get(["x"], tenant="zoo") if one] == ["zoo 2"]
    with pytest.raises(mvdb.InvalidInputError, match="given twice"):
        db.insert(["z", "z"], [matrix(1), matrix(2)], tenant=["ant", "ant"])
    with pytest.raises(mvdb.DuplicateIdError):
        db.insert(["z", "x"], [matrix(1), matrix(2)], tenant=["never", "ant"])
    assert "never" not in db.tenants()


def test_writes_change_one_tenant_alone(db: mvdb.Database) -> None:
    db.update(["x", 1], metadata={"changed": True}, merge=True, tenant="bee")
    assert db.delete(["readme", "none"], tenant="ant") == 1
    assert db.delete(filter={"owner": "ant 2"}, tenant="zoo") == 0
    assert db.delete(filter={"n": 0}, tenant="zoo") == 1
    assert list(db.ids(tenant="ant")) == [1, "x"]
    assert list(db.ids(tenant="zoo")) == ["readme", "x"]
    assert list(db.ids({"changed": True}, tenant="bee")) == [1, "x"]
    assert db.count({"changed": True}, tenant="ant") == 0
    assert db.tenants() == {"ant": 2, "ant 2": 3, "bee": 3, "zoo": 2}
    assert db.verify().ok


def test_delete_tenant_is_one_transaction(db: mvdb.Database) -> None:
    with db.transaction() as txn:
        txn.insert("more", matrix(1), tenant="ant")
        assert txn.delete_tenant("ant") == 4
        assert txn.count(tenant="ant") == 0
        txn.rollback()
    assert db.count(tenant="ant") == 3
    with db.snapshot() as before:
        assert db.delete_tenant("ant") == 3
        assert before.count(tenant="ant") == 3
    assert db.tenants() == {"ant 2": 3, "bee": 3, "zoo": 3}
    assert db.search(matrix(1), tenant="ant") == []
    db.insert("x", matrix(1), texts="anew", tenant="ant")
    assert [hit.text for hit in db.search(matrix(1), tenant="ant")] == ["anew"]
    db.optimize()
    assert db.tenants() == {"ant": 1, "ant 2": 3, "bee": 3, "zoo": 3}
    assert db.verify().ok


def test_a_tenant_without_documents_is_listed(db: mvdb.Database) -> None:
    assert db.delete(filter={}, tenant="bee") == 3
    assert db.tenants()["bee"] == 0


def test_the_longest_names_and_ids(db: mvdb.Database) -> None:
    names = ["é" * (FULL // 2), "é" * (FULL // 2 - 1) + "ab"]
    for name in names:
        db.insert("i" * FULL, matrix(1), texts=name, tenant=name)
    for name in names:
        assert [hit.text for hit in db.search(matrix(1), tenant=name)] == [name]
        assert list(db.ids(tenant=name)) == ["i" * FULL]


def test_the_switch_is_kept_and_checked(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.mvdb", tmp_path / "plain.mvdb"
    mvdb.open(path, dim=DIM, tenants=True).close()
    mvdb.open(plain, dim=DIM).close()
    for allowed in (None, True):
        mvdb.open(path, tenants=allowed).close()
    for allowed in (None, False):
        mvdb.open(plain, tenants=allowed).close()
    with pytest.raises(mvdb.InvalidInputError, match="tenants=True, which is fixed"):
        mvdb.open(path, tenants=False)
    with pytest.raises(mvdb.InvalidInputError, match="tenants=False, which is fixed"):
        mvdb.open(plain, tenants=True)
    with mvdb.open(plain) as db:
        for call in (db.tenants, lambda: db.delete_tenant("a"), lambda: db.get(1, tenant="a")):
            with pytest.raises(mvdb.InvalidInputError, match="does not separate tenants"):
                call()


def test_streams_of_several_tenants_resume(db: mvdb.Database) -> None:
    batches = [
        (["x", "new"], [matrix(1), matrix(2)]),
        {"ids": ["x", "y"], "embeddings": [matrix(3), matrix(4)], "tenant": ["new", "zoo"]},
        (["x"], [matrix(5)], None, None, "bee"),
    ]
    assert db.insert_batches(batches, tenant="ant") == 3
    assert db.insert_batches(batches, tenant="ant", commit_every=1) == 0
    assert db.tenants() == {"ant": 4, "ant 2": 3, "bee": 3, "new": 1, "zoo": 4}


def test_a_column_of_tenants(db: mvdb.Database, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    vectors = [matrix(i).tolist() for i in range(2)]
    table = arrow.table({"id": ["a", "a"], "embeddings": vectors, "tenant": ["new", "ant"]})
    assert db.insert_batches(table) == 2
    assert [one.metadata for one in db.get("a", tenant="ant") if one] == [None]
    assert db.count(tenant="new") == 1
    for column, says in ((arrow.array(["new", None]), "row 1, column 'tenant': null"),):
        with pytest.raises(mvdb.InvalidInputError, match=says):
            db.insert_batches(table.set_column(2, "tenant", column))
    with mvdb.open(tmp_path / "plain.mvdb", dim=DIM) as plain:
        plain.insert_batches(table.slice(0, 1))
        assert plain.get("a") == [mvdb.Document("a", None, {"tenant": "new"}, 3)]


@pytest.mark.parametrize("lists", [False, True])
def test_hits_are_those_of_a_file_of_ones_own(tmp_path: Path, lists: bool) -> None:
    """The documents of a large tenant, beside others and by each plan: ids and scores are those
    of brute force over its stored vectors."""
    rng = np.random.default_rng(5)
    base = Limits(train_documents=50, listed_tokens=200, cluster_documents=4, fanout=3)
    limits = by_lists(base) if lists else base
    with opened(tmp_path / "a.mvdb", limits, dim=16, tenants=True, background=False) as db:
        for part in range(6):
            names = [f"{part} {i}" for i in range(60)]
            tenants = ["big" if rng.random() < 0.7 else f"small {i % 3}" for i in range(60)]
            vectors = [rng.standard_normal((rng.integers(1, 9), 16)) for _ in names]
            db.insert(names, vectors, tenant=tenants)
            db.delete([f"{part} {i}" for i in range(0, 60, 7)], tenant="big")
        for tenant in ("big", "small 0", "small 2"):
            names = list(db.ids(tenant=tenant))
            stored = dict(zip(names, db.vectors(names, tenant=tenant), strict=True))
            for seed in range(5):
                query = make_query(seed, 16)
                scores = {name: (query @ rows.T).max(1).sum() for name, rows in stored.items()}
                best = sorted(names, key=lambda name: -scores[name])[:5]
                hits = db.search(query, 5, tenant=tenant, nprobe=10_000, candidates=10_000)
                assert [hit.id for hit in hits] == best
                assert np.allclose(
                    [hit.score for hit in hits], [scores[one] for one in best], atol=1e-4
                )
                few = db.search(query, 5, tenant=tenant, candidates=5)
                assert {hit.id for hit in few} <= set(names)
                assert len(few) == 5
        plan = db.profile(make_query(1, 16), 5, tenant="big", candidates=5).plan
        assert plan == ("lists" if lists else "interaction")


def test_repair_keeps_tenants_apart(db: mvdb.Database, tmp_path: Path) -> None:
    db.delete_tenant("zoo")
    db.close()
    assert mvdb.repair(tmp_path / "a.mvdb", tmp_path / "b.mvdb").recovered == 9
    with mvdb.open(tmp_path / "b.mvdb") as repaired:
        assert repaired.tenants() == {"ant": 3, "ant 2": 3, "bee": 3}
        assert owners(repaired.search(matrix(1), tenant="ant")) == {"ant"}
        repaired.insert("x", matrix(1), tenant="zoo")
        assert repaired.count(tenant="zoo") == 1
        assert repaired.verify().ok
