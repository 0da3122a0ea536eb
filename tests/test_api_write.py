"""Writing: every form that ids, vectors, texts and metadata may take, and all-or-nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, content, fill, matrix
from tests.support.model import id_order, max_sim, unit
from tests.support.opening import opened

HALF = 1e-3
"""Untrained files keep float16: so far a stored unit vector may be from the given one."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as database:
        yield database


def holds(db: mvdb.Database, name: str | int, rows: NDArray[Any]) -> None:
    """The document has these vectors, brought to unit length."""
    (stored,) = db.vectors(name)
    assert stored.dtype == np.float32
    assert stored.shape == rows.shape
    np.testing.assert_allclose(stored, unit(rows), atol=HALF)


# ---- ids ----


def test_ids_are_kept_apart_by_type_and_iterate_in_order(db: mvdb.Database) -> None:
    names: list[str | int] = [
        "1",
        1,
        "z",
        "é",
        -5,
        2**63 - 1,
        -(2**63),
        "a" * 500,
        "日本",
        "😀",
        0,
        "ß" * 250,
    ]
    db.insert(names, [matrix(i) for i in range(len(names))])
    assert list(db.ids()) == sorted(names, key=id_order)
    assert len(db) == len(names)
    for i, name in enumerate(names):
        assert name in db
        holds(db, name, matrix(i))
    for absent in (2, "2", "", "a" * 501, True, 1.0, None, b"1", 2**64, "\ud800", [1]):
        assert absent not in db


def test_one_id_alone_takes_one_matrix_text_and_mapping(db: mvdb.Database) -> None:
    db.insert("one", matrix(1), texts="its text", metadata={"n": 1})
    db.insert(2, matrix(2))
    (one, two) = db.get(["one", 2])
    assert one == mvdb.Document("one", "its text", {"n": 1}, 3)
    assert two == mvdb.Document(2, None, None, 3)


@pytest.mark.parametrize("make", [np.int8, np.int64, np.uint64])
def test_numpy_integers_are_integers(db: mvdb.Database, make: Callable[[int], Any]) -> None:
    db.insert(make(7), matrix(7))
    db.insert(np.arange(3), np.stack([matrix(i) for i in range(3)]))  # type: ignore[arg-type]
    assert list(db.ids()) == [0, 1, 2, 7]
    assert all(type(name) is int for name in db.ids())
    (document,) = db.get(make(7))
    assert document is not None
    assert type(document.id) is int
    assert make(7) in db


def test_ids_and_vectors_may_be_generators(db: mvdb.Database) -> None:
    db.insert(
        (f"g{i}" for i in range(4)),  # type: ignore[arg-type]
        (matrix(i, i + 1) for i in range(4)),
        texts=(f"t{i}" for i in range(4)),  # type: ignore[arg-type]
        metadata=({"i": i} for i in range(4)),  # type: ignore[arg-type]
    )
    assert [document and document.text for document in db.get(["g0", "g3"])] == ["t0", "t3"]
    holds(db, "g3", matrix(3, 4))


# ---- vectors ----


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
def test_every_float_type_gives_unit_rows(db: mvdb.Database, dtype: str) -> None:
    rows = matrix(1).astype(dtype)
    db.insert("a", rows)
    holds(db, "a", rows)


def test_any_memory_layout_is_the_same_matrix(db: mvdb.Database) -> None:
    rows = matrix(1, 6)
    frozen = rows.copy()
    frozen.flags.writeable = False
    wide = np.zeros((12, 2 * DIM), np.float32)
    wide[::2, ::2] = rows
    forms = {
        "fortran": np.asfortranarray(rows),
        "strided": wide[::2, ::2],
        "reversed": np.ascontiguousarray(rows[::-1])[::-1],
        "frozen": frozen,
        "lists": rows.tolist(),
        "rows": list(rows),
    }
    for name, form in forms.items():
        db.insert(name, form)
        holds(db, name, rows)
    assert np.array_equal(frozen, matrix(1, 6)), "the caller's array was changed"


def test_sequences_flat_pairs_and_padded_arrays_are_the_same_documents(db: mvdb.Database) -> None:
    parts = [matrix(i, i + 1) for i in range(4)]
    flat = np.concatenate(parts)
    lengths = [1, 2, 3, 4]
    padded = np.zeros((4, 6, DIM), np.float32)
    for i, part in enumerate(parts):
        padded[i, : len(part)] = part
    mixed = [part.astype(kind) for part, kind in zip(parts, ("f2", "f4", "f8", "f4"), strict=True)]
    forms: dict[str, Any] = {
        "list": parts,
        "tuple": tuple(parts),
        "pair": (flat, lengths),
        "pair of arrays": (flat, np.array(lengths, np.uint32)),
        "padded": padded,
        "mixed": mixed,
    }
    for name, form in forms.items():
        db.insert([f"{name} {i}" for i in range(4)], form)
        for i, part in enumerate(parts):
            holds(db, f"{name} {i}", part)


def test_two_documents_in_a_tuple_are_no_flat_pair(db: mvdb.Database) -> None:
    db.insert(["a", "b"], (matrix(1), matrix(2)))
    holds(db, "b", matrix(2))
    db.insert("c", (matrix(3, 4), [4]))
    holds(db, "c", matrix(3, 4))


def test_zero_rows_are_padding_wherever_they_stand(db: mvdb.Database) -> None:
    rows = matrix(1, 5)
    holes = np.insert(rows, [0, 2, 5], 0, axis=0)
    db.insert("a", holes)
    holds(db, "a", rows)
    assert db.stats().tokens == 5


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("f8", 1e300),
        ("f8", 1e-300),
        ("f8", 1e25),
        ("f4", 3e38),
        ("f4", 1e-38),
        ("f2", 60_000),
        (">f2", 1),
        (">f4", 1),
    ],
)
def test_only_the_direction_of_a_row_counts(db: mvdb.Database, dtype: str, size: float) -> None:
    rows = matrix(1).astype("f8")
    rows /= np.abs(rows).max()
    rows[2] = 0
    scaled = (rows * size).astype(dtype)
    scaled[2] = rows[0]
    db.insert("a", scaled)
    (stored,) = db.vectors("a")
    np.testing.assert_allclose(stored, unit(rows[[0, 1, 0]]), atol=2 * HALF)
    hits = db.search(scaled[:2], 1)
    assert hits[0].score == pytest.approx(2, abs=0.01)


class Dlpack:
    """An array that offers DLPack and nothing else."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows

    def __dlpack__(self, **options: Any) -> Any:
        return self._rows.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._rows.__dlpack_device__()


class ArrayLike:
    """An object with `__array__` and nothing else."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._rows = rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._rows if dtype is None else self._rows.astype(dtype)


class FakeTensor(ArrayLike):
    """What a torch tensor of bfloat16 does: numpy gets it only as another type."""

    dtype = "torch.bfloat16"

    def __init__(self, rows: NDArray[Any]) -> None:
        super().__init__(rows)
        self.ndim, self.shape = rows.ndim, rows.shape
        self.converted = False

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[FakeTensor]:
        return (FakeTensor(rows) for rows in self._rows)

    def __getitem__(self, at: Any) -> FakeTensor:
        return FakeTensor(self._rows[at])

    def detach(self) -> FakeTensor:
        return self

    def cpu(self) -> FakeTensor:
        return self

    def float(self) -> NDArray[Any]:
        return self._rows.astype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        raise TypeError("Got unsupported ScalarType BFloat16")


@pytest.mark.parametrize("wrap", [Dlpack, ArrayLike, FakeTensor])
def test_foreign_arrays(db: mvdb.Database, wrap: Callable[[NDArray[Any]], Any]) -> None:
    db.insert("one", wrap(matrix(1)))
    db.insert(["a", "b"], [wrap(matrix(2)), wrap(matrix(3))])
    db.insert(["c", "d"], wrap(np.stack([matrix(4), matrix(5)])))
    db.insert(["e", "f"], (wrap(np.concatenate([matrix(6), matrix(7)])), [3, 3]))
    for name, seed in zip(["one", *"abcdef"], range(1, 8), strict=True):
        holds(db, name, matrix(seed))
    assert db.search(wrap(matrix(5)), 1)[0].id == "d"


@pytest.mark.parametrize("dim", [1, 2, 15, 17, 4096])
@pytest.mark.parametrize("bits", [2, 16])
def test_any_dim(tmp_path: Path, dim: int, bits: int) -> None:
    limits = Limits(train_documents=20)
    with opened(tmp_path / "a.mvdb", limits, dim=dim, bits=bits) as db:
        fill(db, 30, tokens=2)
        assert (db.stats().centroids > 0) == (bits != 16)
        query = matrix(500, 2, dim)
        hits = db.search(query, 5, exact=True)
        assert len(hits) == 5
        for hit in hits:
            (stored,) = db.vectors(hit.id)
            assert hit.score == pytest.approx(max_sim(query, stored), rel=1e-4, abs=1e-4)
        assert db.verify().ok


def test_a_document_of_100000_tokens(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((100_000, 4)).astype(np.float16)
    with mvdb.open(tmp_path / "a.mvdb", dim=4, bits=8) as db:
        db.insert(["long", "short"], [rows, rows[:2]])
        (document,) = db.get("long")
        assert document is not None
        assert document.n_tokens == 100_000
        assert db.search(rows[5000:5003], 1)[0].id == "long"
        (stored,) = db.vectors("long")
        lengths = np.linalg.norm(stored, axis=1)
        cosines = (stored * unit(rows)).sum(axis=1) / lengths
        assert cosines.mean() > 0.99


# ---- texts and metadata ----


def test_texts_and_metadata_come_back_as_given(db: mvdb.Database) -> None:
    texts = [None, "", "Grüße 日本 😀\n\0tab\t", "long " * 50_000]
    metadata: list[dict[str, Any] | None] = [
        None,
        {},
        {"a": {"b": [1, 2.5, None, True, "x"]}, "big": 2**200, "": 0, "d.o.t": 1, "$x": []},
        {"n": -0.0, "e": 1e-300},
    ]
    db.insert(range(4), [matrix(i) for i in range(4)], texts=texts, metadata=metadata)
    for document, text, fields in zip(db.get(range(4)), texts, metadata, strict=True):
        assert document is not None
        assert document.text == text
        assert document.metadata == fields


def test_metadata_may_be_any_mapping(db: mvdb.Database) -> None:
    from types import MappingProxyType

    db.insert("a", matrix(1), metadata=MappingProxyType({"n": 1}))
    assert [hit.id for hit in db.search(matrix(1), filter={"n": 1})] == ["a"]


# ---- insert, upsert, delete ----


def test_empty_calls_change_nothing(db: mvdb.Database) -> None:
    fill(db, 2)
    before = content(db.path)
    db.insert([], [])
    db.insert([], np.empty((0, 3, DIM), np.float32))
    db.insert([], (np.empty((0, DIM), np.float32), []))
    db.insert([])
    db.upsert([], [])
    assert db.delete([]) == 0
    assert db.get([]) == []
    assert db.vectors([]) == []
    assert db.insert_batches([]) == 0
    assert content(db.path) == before


def test_insert_of_an_existing_id_rolls_back_the_whole_call(db: mvdb.Database) -> None:
    fill(db, 2)
    before = content(db.path)
    with pytest.raises(mvdb.DuplicateIdError, match=r"id 1 exists already; use upsert"):
        db.insert([7, 1, 8], [matrix(i) for i in range(3)])
    assert content(db.path) == before


def test_upsert_replaces_documents_whole(db: mvdb.Database) -> None:
    fill(db, 3)
    db.upsert([1, "new"], [matrix(50, 5), matrix(51)], texts=["other", None])
    one, new = db.get([1, "new"])
    assert one == mvdb.Document(1, "other", None, 5)
    assert new == mvdb.Document("new", None, None, 3)
    holds(db, 1, matrix(50, 5))
    assert [hit.id for hit in db.search(matrix(0), filter={"n": {"$exists": True}})] == [0, 2]
    assert len(db) == 4


def test_delete_counts_what_was_there(db: mvdb.Database) -> None:
    fill(db, 4)
    assert db.delete([1, 1, "1", 99, 3]) == 2
    assert db.delete(1) == 0
    assert list(db.ids()) == [0, 2]
    assert db.get([1, 2])[0] is None
    assert {hit.id for hit in db.search(matrix(1))} == {0, 2}
    fill(db, 1, first=1)
    assert list(db.ids()) == [0, 1, 2]


def test_a_transaction_is_all_or_nothing(db: mvdb.Database) -> None:
    fill(db, 3)
    before = content(db.path)
    with pytest.raises(ZeroDivisionError), db.transaction() as txn:  # noqa: PT012
        txn.insert("a", matrix(10))
        txn.upsert(0, matrix(11))
        txn.delete(1)
        assert content(db.path) == before, "others saw an open transaction"
        raise ZeroDivisionError
    assert content(db.path) == before


def test_a_transaction_sees_its_own_writes(db: mvdb.Database) -> None:
    fill(db, 3)
    with db.transaction() as txn:
        txn.insert("a", matrix(10), texts="mine", metadata={"n": 10})
        assert txn.delete(0) == 1
        txn.upsert(1, matrix(10), texts="also")
        assert [hit.id for hit in txn.search(matrix(10), 2)] == [1, "a"]
        assert [hit.text for hit in txn.search(matrix(10), 2)] == ["also", "mine"]
        assert txn.search(matrix(10), filter={"n": 10})[0].id == "a"
        assert list(txn.ids()) == [1, 2, "a"]
        assert (len(txn), "a" in txn, 0 in txn) == (3, True, False)
        assert txn.get(0) == [None]
        assert txn.delete("a") == 1
        assert "a" not in txn
        assert len(db) == 3
        assert 0 in db
    assert list(db.ids()) == [1, 2]


def test_a_caught_failure_still_rolls_back(db: mvdb.Database) -> None:
    fill(db, 1)
    before = content(db.path)
    with pytest.raises(mvdb.Error, match="earlier write"), db.transaction() as txn:  # noqa: PT012
        txn.insert("a", matrix(1))
        with pytest.raises(mvdb.DuplicateIdError):
            txn.insert(0, matrix(1))
    assert content(db.path) == before


def test_a_finished_transaction_refuses_more(db: mvdb.Database) -> None:
    with db.transaction() as txn:
        txn.insert(1, matrix(1))
    for call in (lambda: txn.insert(2, matrix(1)), lambda: txn.delete(1), txn.commit):
        with pytest.raises(mvdb.ClosedError, match="finished"):
            call()
    txn.rollback()
    assert list(content(db.path)) == [1]


def test_one_writer_at_a_time(db: mvdb.Database) -> None:
    seen: list[object] = []

    def other() -> None:
        try:
            with db.transaction(timeout=0.05):
                seen.append("got in")
        except mvdb.BusyError as error:
            seen.append(error)

    with db.transaction() as txn:
        txn.insert(1, matrix(1))
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(mvdb.BusyError):
            db.insert(2, matrix(2))  # the same thread would wait for itself
    assert isinstance(seen[0], mvdb.BusyError)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen[1] == "got in"


# ---- streams ----


def batches(first: int, last: int, size: int = 10) -> Iterator[dict[str, Any]]:
    for start in range(first, last, size):
        numbers = range(start, start + size)
        yield {
            "ids": (i for i in numbers),
            "embeddings": (matrix(i, 2) for i in numbers),
            "texts": [f"text {i}" for i in numbers],
            "metadata": [{"n": i} for i in numbers],
        }


def test_a_stream_is_committed_as_it_goes_and_resumes(db: mvdb.Database) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from batches(0, 50)
        raise ConnectionError

    steps: list[int] = []
    with pytest.raises(ConnectionError):
        db.insert_batches(broken(), commit_every=20, progress=steps.append)
    assert steps == [20, 40]
    assert list(db.ids()) == list(range(40))
    assert db.insert_batches(batches(0, 100), commit_every=20) == 60
    assert list(db.ids()) == list(range(100))
    for i in (0, 39, 40, 99):
        holds(db, i, matrix(i, 2))
        assert db.get(i) == [mvdb.Document(i, f"text {i}", {"n": i}, 2)]
    assert db.insert_batches(batches(0, 100)) == 0


def test_a_batch_with_some_old_documents_inserts_the_others(db: mvdb.Database) -> None:
    db.insert([1, 3], [matrix(90), matrix(91)])
    parts = [matrix(i, i + 1) for i in range(5)]
    forms: list[Any] = [parts, (np.concatenate(parts), [1, 2, 3, 4, 5]), iter(parts)]
    for form in forms:
        count = db.insert_batches([(range(5), form, [f"t{i}" for i in range(5)])])
        assert count == 3
        for i in (0, 2, 4):
            holds(db, i, parts[i])
        holds(db, 3, matrix(91))
        assert [document and document.text for document in db.get([0, 4])] == ["t0", "t4"]
        db.delete([0, 2, 4])
    assert db.insert_batches([("one", matrix(7), "its text"), ("one", matrix(8))]) == 1
    holds(db, "one", matrix(7))


@pytest.mark.parametrize(
    "batch",
    [
        {"ids": [1], "embeddings": [matrix(1)], "text": ["a misspelt name"]},
        {"embeddings": [matrix(1)]},
        ([1], [matrix(1)], None, None, None, None, "too many"),
        None,
        5,
    ],
)
def test_a_batch_that_is_none_is_refused(db: mvdb.Database, batch: object) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="batches: each is a mapping with ids"):
        db.insert_batches([batch])
    assert len(db) == 0


@pytest.mark.parametrize("size", [0, -1])
def test_a_stream_commits_at_least_one(db: mvdb.Database, size: int) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="commit_every"):
        db.insert_batches([], commit_every=size)


# ---- across a training ----


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_writes_before_and_after_training_are_all_there(tmp_path: Path, bits: int) -> None:
    limits = Limits(train_documents=40)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, bits=bits) as db:
        fill(db, 30)
        assert db.stats().centroids == 0
        db.delete(range(10))
        fill(db, 40, first=30)
        assert db.stats().centroids > 0
        with db.transaction() as txn:
            txn.upsert(50, matrix(1000), texts="new")
            txn.delete([51, 52])
        assert list(db.ids()) == [*range(10, 51), *range(53, 70)]
        assert db.get(50) == [mvdb.Document(50, "new", None, 3)]
        means = []
        for i in (10, 29, 30, 69):
            (stored,) = db.vectors(i)
            lengths = np.linalg.norm(stored, axis=1)
            means.append(((stored * unit(matrix(i))).sum(axis=1) / lengths).mean())
        assert min(means) > {1: 0.6, 2: 0.8, 4: 0.95, 8: 0.99}[bits]
        assert db.verify().ok
