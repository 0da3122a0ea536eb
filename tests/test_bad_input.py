"""What cannot be stored or asked is refused by name: the message says what, where and what would
do, the content stays as it was, and the handle goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.helpers import DIM, fill, matrix, refused

Bad = mvdb.InvalidInputError


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as database:
        fill(database, 3)
        yield database


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("a" * 501, "501 UTF-8 bytes; 1 to 500"),
        ("ß" * 251, "502 UTF-8 bytes; 1 to 500"),
        ("a\ud800", "lone surrogate"),
        (2**63, "signed 64-bit"),
        (-(2**63) - 1, "signed 64-bit"),
        (True, "not a bool"),
        (np.bool_(True), "a str or an int"),
        (1.0, "not float"),
        (np.float32(1), "a str or an int"),
        (None, "not NoneType"),
        (b"bytes", "not bytes"),
        (("a", "b"), "not tuple"),
    ],
)
def test_ids(db: mvdb.Database, name: Any, says: str) -> None:
    with refused(db, Bad, says):
        db.insert([7, name], [matrix(1), matrix(2)])
    with refused(db, Bad, says):
        db.delete([0, name])
    with refused(db, Bad, says):
        db.get([name])
    with refused(db, Bad, says):
        db.search(matrix(1), ids=[name])
    if not isinstance(name, tuple):  # which alone would be a sequence of ids
        with refused(db, Bad, says):
            db.upsert(name, matrix(1))


def test_an_id_given_twice(db: mvdb.Database) -> None:
    with refused(db, Bad, "'x' is given twice"):
        db.upsert(["x", "y", "x"], [matrix(1), matrix(2), matrix(3)])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.ones((2, DIM), np.int32), "dtype int32; float16, float32, float64 or bfloat16"),
        (np.ones((2, DIM), np.uint8), "dtype uint8"),
        (np.ones((2, DIM), bool), "dtype bool"),
        (np.ones((2, DIM), np.complex64), "dtype complex64"),
        (np.ones((2, DIM), object), "dtype object"),
        (np.full((2, DIM), "x"), "dtype <U1"),
        ([[1.0] * DIM, [1.0] * (DIM - 1)], "not an array of numbers"),
        ([], "shape (0,)"),
        (np.ones(DIM, np.float32), "shape (8,)"),
        (np.float32(1), "shape ()"),
        (np.ones((1, 2, DIM), np.float32), "shape (1, 2, 8)"),
        (5, "dtype int"),
        (object(), "dtype object"),
    ],
)
def test_vectors_that_are_no_matrix_of_floats(db: mvdb.Database, rows: Any, says: str) -> None:
    with refused(db, Bad, "document 'bad'", says):
        db.insert(["good", "bad"], [matrix(1), rows])
    with refused(db, Bad, "document 'bad'", says):
        db.insert("bad", rows)
    with refused(db, Bad, "query", says):
        db.search(rows)


def test_vectors_on_another_device(db: mvdb.Database) -> None:
    class OnGpu:
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("the array is on a GPU")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with refused(db, Bad, "document 'a'", "not an array of numbers"):
        db.insert("a", OnGpu())


@pytest.mark.parametrize("dim", [1, DIM - 1, DIM + 1])
def test_another_dim(db: mvdb.Database, dim: int) -> None:
    said = (f"{dim} dimensions", f"has {DIM}")
    with refused(db, mvdb.DimensionMismatch, "document 'b'", *said):
        db.insert(["a", "b"], [matrix(1), matrix(2, 3, dim)])
    with refused(db, mvdb.DimensionMismatch, "embeddings", *said):
        db.insert(["a"], (matrix(1, 3, dim), [3]))
    with refused(db, mvdb.DimensionMismatch, "query", *said):
        db.search(matrix(1, 3, dim))
    with refused(db, mvdb.DimensionMismatch, *said):
        db.insert(["a"], np.ones((1, 2, dim), np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_values_that_are_not_finite_are_named(db: mvdb.Database, value: float, dtype: str) -> None:
    parts = [matrix(i, 4).astype(dtype) for i in range(3)]
    parts[1][0] = 0  # padding does not shift the row that is named
    parts[1][2, 5] = value
    names = ["a", "b", "c"]
    for form in (parts, (np.concatenate(parts), [4, 4, 4]), np.stack(parts)):
        with refused(db, Bad, "document 'b', row 2", "not finite"):
            db.insert(names, form)
    with refused(db, Bad, "query", "row 2", "not finite"):
        db.search(parts[1])


def test_the_fault_is_named_in_the_last_of_many_documents(db: mvdb.Database) -> None:
    flat = np.ones((40_000, DIM), np.float32)
    flat[39_999] = np.nan
    with refused(db, Bad, "document 20999, row 1", "not finite"):
        db.insert(range(1000, 21_000), (flat, [2] * 20_000))


def test_documents_without_vectors(db: mvdb.Database) -> None:
    zero, none = np.zeros((3, DIM), np.float32), np.empty((0, DIM), np.float32)
    for rows in (zero, none, -zero):
        with refused(db, Bad, "document 'b'", "no token vectors"):
            db.insert(["a", "b"], [matrix(1), rows])
    with refused(db, Bad, "document 'b'", "no token vectors"):
        db.insert(["a", "b", "c"], (matrix(1, 3), [2, 0, 1]))
    with refused(db, Bad, "query", "zero"):
        db.search(zero)
    with refused(db, Bad, "query", "0 tokens; 1 to 4096"):
        db.search(none)


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([2, 3], "add up to 5, flat has 4 rows"),
        ([1, 1], "add up to 2, flat has 4 rows"),
        ([-1, 5], "entry 0 is negative"),
        ([5, -1], "entry 1 is negative"),
        ([2**62, 2**62], "flat has 4 rows"),
        ([2**70, 4], "64 bits"),
        (np.array([2**64 - 1, 5], np.uint64), "64 bits"),
        ([4], "1 documents for 2 ids"),
        ([1, 1, 2], "3 documents for 2 ids"),
        ([], "flat has 4 rows"),
        ([2.0, 2.0], "document 'b'"),
        (np.array([[2, 2]]), "document 'b'"),
    ],
)
def test_lengths(db: mvdb.Database, lengths: Any, says: str) -> None:
    with refused(db, Bad, says):
        db.insert(["a", "b"], (matrix(1, 4), lengths))


def test_lengths_whose_sum_wraps_around(db: mvdb.Database) -> None:
    with refused(db, Bad, "entry 0"):
        db.insert(list("abcde"), (matrix(1, 3), [2**62, 2**62, 2**62, 2**62, 3]))


@pytest.mark.parametrize(
    ("embeddings", "says"),
    [
        ([matrix(1)], "1 documents for 2 ids"),
        ([matrix(1)] * 3, "3 documents for 2 ids"),
        (matrix(1), "2 dimensions for 2 ids"),
        (np.ones((2, 2, 2, DIM), np.float32), "4 dimensions"),
        (np.float32(1), "0 dimensions"),
        (5, "embeddings: a sequence"),
        ("ab", "embeddings: a sequence"),
        ({0: matrix(1), 1: matrix(2)}, "embeddings: a sequence"),
        (None, "'a'"),
        (["x", "y"], "did you mean texts=?"),
        (("x", "y"), "did you mean texts=?"),
        (iter(["x", "y"]), "did you mean texts=?"),
        (np.array(["x", "y"]), "did you mean texts=?"),
        (np.array(["x", "y"], object), "did you mean texts=?"),
    ],
)
def test_embeddings_that_do_not_go_with_the_ids(
    db: mvdb.Database, embeddings: Any, says: str
) -> None:
    with refused(db, Bad, says):
        db.insert(["a", "b"], embeddings)


@pytest.mark.parametrize("method", ["insert", "upsert"])
@pytest.mark.parametrize(("names", "given"), [("z", "x"), ("z", ["x"]), (["z"], "x"), ("z", "")])
def test_a_text_in_place_of_vectors_asks_what_was_meant(
    db: mvdb.Database, method: str, names: Any, given: Any
) -> None:
    """`insert("z", "x")` spoke of an array of dtype <U1."""
    with refused(db, Bad, "embeddings", "did you mean texts=?"):
        getattr(db, method)(names, given)
    with refused(db, Bad, "did you mean texts=?"), db.transaction() as txn:
        getattr(txn, method)(names, given)
    with refused(db, Bad, "did you mean texts=?"):
        db.insert_batches([(names, given)])


def test_documents_of_too_many_tokens(db: mvdb.Database) -> None:
    with refused(db, Bad, "document 'a'", "100001 token vectors; at most 100000"):
        db.insert("a", np.ones((100_001, DIM), np.float16))


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["one"], "texts of 1 documents for 2 ids"),
        ("one", "texts of 1 documents for 2 ids"),
        (["one", 2], "texts[1]: a str is needed, not int"),
        (["one", b"two"], "texts[1]: a str is needed, not bytes"),
        (["one", "\udc80"], "texts[1]: not valid Unicode (lone surrogate)"),
        (5, "texts: a sequence"),
        (b"ab", "texts: a sequence"),
    ],
)
def test_texts(db: mvdb.Database, texts: Any, says: str) -> None:
    with refused(db, Bad, says):
        db.insert(["a", "b"], [matrix(1), matrix(2)], texts=texts)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"x": {1, 2}}, "metadata[1].x: JSON has no set"),
        ({"x": [1, {"y": b"b"}]}, "metadata[1].x[1].y: JSON has no bytes"),
        ({"x": np.float32("nan")}, "metadata[1].x: JSON has no nan"),
        ({"x": np.longdouble(1)}, "metadata[1].x: JSON has no longdouble"),
        (
            {"x": np.arange(3)},
            "metadata[1].x: JSON has no ndarray; convert it first, with .tolist(",
        ),
        ({"x": np.array(b"b")}, "metadata[1].x: JSON has no ndarray"),
        ({"x": np.str_("\ud800")}, "metadata[1].x: a string with a lone surrogate"),
        (
            {"x": datetime(2024, 5, 1)},
            "metadata[1].x: JSON has no datetime; convert it first, with",
        ),
        (
            {"x": np.datetime64("2024-05-01", "ns")},
            "metadata[1].x: JSON has no datetime64; convert",
        ),
        ({np.int64(1): "x"}, "metadata[1]: expected keys that are strings"),
        ({"x": float("nan")}, "metadata[1].x: JSON has no nan"),
        ({"x": float("inf")}, "metadata[1].x: JSON has no inf"),
        ({1: "x"}, "metadata[1]: expected keys that are strings"),
        ({"x": {None: 1}}, "metadata[1].x: expected keys that are strings"),
        ({"x": "\ud800"}, "metadata[1].x: a string with a lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        ({"x": 2**3000}, "metadata[1].x: an integer has at most"),
        (nested(100), "nested at most 64 deep"),
        ("text", "metadata[1]: expected a JSON object"),
        ([1], "metadata[1]: expected a JSON object"),
        (1, "metadata[1]: expected a JSON object"),
    ],
)
def test_metadata_that_is_not_json(db: mvdb.Database, fields: Any, says: str) -> None:
    with refused(db, Bad, says):
        db.insert(["a", "b"], [matrix(1), matrix(2)], metadata=[None, fields])


def test_metadata_that_does_not_go_with_the_ids(db: mvdb.Database) -> None:
    for metadata, says in (
        ([{}], "metadata of 1 documents for 2 ids"),
        ({"n": 1}, "metadata of 1 documents for 2 ids"),
        (5, "metadata: a sequence"),
        ("ab", "metadata: a sequence"),
    ):
        with refused(db, Bad, says):
            db.insert(["a", "b"], [matrix(1), matrix(2)], metadata=metadata)  # type: ignore[arg-type]


def test_metadata_that_contains_itself(db: mvdb.Database) -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with refused(db, Bad, "metadata[0].again"):
        db.insert("a", matrix(1), metadata=loop)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("year", "filter: expected an object"),
        ([{"n": 1}], "filter: expected an object"),
        ({"n": {"$gth": 1}}, "filter.n.$gth: unknown operator"),
        ({"$nor": []}, "filter.$nor: unknown operator"),
        ({"$gt": 1}, "filter.$gt: this operator stands under a field"),
        ({"n": {"$and": []}}, "filter.n.$and: this operator stands above fields"),
        ({"n": {}}, "filter.n: expected at least one operator"),
        ({"n": {"m": 1}}, "filter.n.m: expected an operator; a nested field is written 'n.m'"),
        ({"n": [1, 2]}, "filter.n: expected a string, number, bool or null, got list"),
        ({"n": {"$in": 3}}, "filter.n.$in: expected a list"),
        ({"n": {"$in": [1, [2]]}}, "filter.n.$in[1]"),
        ({"n": {"$gt": None}}, "filter.n.$gt: expected a number or a string, got null"),
        ({"n": {"$gt": True}}, "filter.n.$gt"),
        ({"n": {"$eq": float("nan")}}, "filter.n.$eq: NaN"),
        ({"n": {"$exists": 1}}, "filter.n.$exists: expected true or false"),
        ({"$and": []}, "filter.$and: expected a non-empty list"),
        ({"$and": np.array([1, 2])}, "filter.$and: expected a non-empty list"),
        ({"n": np.datetime64("2024-05-01", "ns")}, "filter.n: expected a string, number"),
        ({"$or": [{"n": 1}, 5]}, "filter.$or[1]: expected an object"),
        ({"$not": {"n": {"$bad": 1}}}, "filter.$not.n.$bad"),
        ({1: 2}, "filter: expected keys that are strings"),
        ({"n": "\ud800"}, "filter.n: a string with a lone surrogate"),
    ],
)
def test_filters_name_the_path_of_the_fault(db: mvdb.Database, condition: Any, says: str) -> None:
    query = matrix(1)
    with refused(db, mvdb.FilterError, says):
        db.search(query, filter=condition)
    with refused(db, mvdb.FilterError, says):
        db.search_batch([query], filter=condition)
    with refused(db, mvdb.FilterError, says):
        db.profile(query, filter=condition)


def test_filters_are_checked_in_an_empty_database_too(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "e.mvdb", dim=DIM) as db, refused(db, mvdb.FilterError, "filter.n"):
        db.search(matrix(1), filter={"n": {"$x": 1}})


@pytest.mark.parametrize("k", [0, -1, 1.0, "3", None, True])
def test_k(db: mvdb.Database, k: Any) -> None:
    with refused(db, Bad, "k: a whole number of at least 1", repr(k)):
        db.search(matrix(1), k)
    with refused(db, Bad, "k: a whole number"):
        db.search_batch([matrix(1)], k)
    if k is not None:  # all of them
        with refused(db, Bad, "k: a whole number"):
            db.rerank(matrix(1), [1], k)
        with refused(db, Bad, "k: a whole number"):
            db.rerank(matrix(1), [], k)


@pytest.mark.parametrize("name", ["nprobe", "candidates", "threads"])
@pytest.mark.parametrize("value", [0, -3, 2.5, "x", True])
def test_numbers_of_a_search(db: mvdb.Database, name: str, value: Any) -> None:
    with refused(db, Bad, f"{name}: a whole number"):
        db.search_batch([matrix(1)], **{name: value})


@pytest.mark.parametrize("value", ["x", float("nan"), True, [1.0]])
def test_min_score(db: mvdb.Database, value: Any) -> None:
    with refused(db, Bad, "min_score: a number"):
        db.search(matrix(1), min_score=value)


def test_queries_that_are_none(db: mvdb.Database) -> None:
    with refused(db, Bad, "query", "4097 tokens; 1 to 4096"):
        db.search(np.ones((4097, DIM), np.float32))
    with refused(db, Bad, "query"):
        db.search(None)
    with refused(db, Bad, "one query"):
        db.search_batch(matrix(1))  # type: ignore[arg-type]
    with refused(db, Bad, "one query"):
        db.search_batch("a question")
    with refused(db, Bad, "needs an encoder", "mvdb.open(encoder=...)"):
        db.search("a question", mode="dense")
    with refused(db, mvdb.DimensionMismatch, "query"):
        db.search_batch([matrix(1), matrix(1, 3, DIM + 1)])


def test_unknown_ids_where_one_is_needed(db: mvdb.Database) -> None:
    with refused(db, mvdb.NotFoundError, "no document has the id 'nobody'"):
        db.vectors([1, "nobody"])
    with refused(db, mvdb.NotFoundError, "no document has the id 99"):
        db.explain(matrix(1), 99)
