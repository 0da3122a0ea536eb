"""Every plain argument of every public call is checked, and refused by its name. Some were passed
on unchecked: `map_size=True`, `commit_every=2.5`, `readonly="yes"`, a `timeout` that is NaN."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.api.readable import Readable
from mvdb.search.options import SearchArguments, SearchOptions
from tests.helpers import DIM, fill, matrix

NUMBERS: list[Any] = [True, 2.5, "3", -1, float("nan"), [1], np.float32(2), 2**80]
FLAGS: list[Any] = ["yes", 1, 0, None, [True]]
WORDS: list[Any] = ["fast", True, 1, None, ["full"]]
FUNCTIONS: list[Any] = [1, "print", [print]]
SECONDS: list[Any] = ["x", float("nan"), -1, -0.5, True, [1]]
SCORES: list[Any] = ["x", float("nan"), True, [1.0]]
FIELDS: list[Any] = [True, 2.5, 1, ["n"], b"n", "$n", "\ud800"]
PATHS: list[Any] = ["", ":memory:", 5, "a\0b"]
TENANTS: list[Any] = [5, True, "", "x" * 501, "x" * 10_000, "\ud800", b"a", ["a", "b"], "a"]
"""The last one is refused because the database does not separate tenants."""
DIMS: list[Any] = [*NUMBERS, 0, 4097]
NAMES: list[Any] = ["", 5, None, b"mail", ["mail"], "a\nb", "a\x7f", "\x85", "\ud800", "é" * 101]

LEXICAL: list[Any] = [
    0,
    1,
    "klingon",
    ["english"],
    {"stemmer": 5},
    {"stemmer": "klingon"},
    {"k1": -1},
    {"k1": "2"},
    {"k1": float("inf")},
    {"b": 1.5},
    {"b": float("nan")},
    {"c": 1},
]

SPARSE: list[Any] = [
    5,
    "t",
    ["t"],
    [("t", 1.0)],
    {"t": float("nan")},
    {"t": -1.0},
    {"t": float("inf")},
    {"t": -float("inf")},
    {"t": 65_281},
    {"t": 10**400},
    {"t": True},
    {"t": "1"},
    {"t": None},
    {"t": [1.0]},
    {"": 1.0},
    {"x" * 65: 1.0},
    {"é" * 33: 1.0},
    {"\ud800": 1.0},
    {-1: 1.0},
    {2**32: 1.0},
    {True: 1.0},
    {1.0: 1.0},
    {None: 1.0},
    {b"t": 1.0},
    {("t",): 1.0},
    dict.fromkeys(range(65_537), 1.0),
]
OPEN: dict[str, list[Any]] = {
    "path": PATHS,
    "dim": DIMS,
    "bits": [*NUMBERS, None, 3],
    "tenants": ["yes", 1, 0, [True]],
    "readonly": FLAGS,
    "create": FLAGS,
    "encoder": [5, "minilm"],
    "lexical": LEXICAL,
    "durability": WORDS,
    "map_size": [*NUMBERS, 0],
    "allow_encoder_mismatch": FLAGS,
    "prefetch": WORDS,
    "background": FLAGS,
    "memory": [*NUMBERS, 0, 1 << 20],
}
SEARCH: dict[str, list[Any]] = {
    "k": [*NUMBERS, 0, None],
    "nprobe": [*NUMBERS, 0],
    "candidates": [*NUMBERS, 0],
    "exact": FLAGS,
    "text": [5, b"words", ["words"]],
    "sparse": [*SPARSE, dict.fromkeys(range(4_097), 1.0)],
    "mode": WORDS,
    "strict": FLAGS,
    "lexical_weight": [*SCORES, -0.1, 1.1],
    "fusion": WORDS,
    "min_score": SCORES,
    "min_relevance": [*SCORES, -0.1, 1.1, 10**400],
    "offset": [*NUMBERS, None],
    "group_by": [5, True, ["path"], "$path", "\ud800"],
    "group_size": [*NUMBERS, 0, None],
    "diversity": [*SCORES, -0.1, 1.1, None, 10**400],
    "fields": ["path", ["text", "path"], 5, [5], {"text": 1}],
    "filter": [],  # FilterError: see test_bad_input.py
    "ids": [],
    "tenant": TENANTS,
}
CALLS: dict[str, dict[str, list[Any]]] = {
    "search": SEARCH,
    "search_batch": {
        **SEARCH,
        "threads": [*NUMBERS, 0],
        "queries": [5, None, "x", {}],
        "progress": FUNCTIONS,
        "cancel": FUNCTIONS,
    },
    "profile": SEARCH,
    "more_like": SEARCH,
    "rerank": {"k": [*NUMBERS, 0], "tenant": TENANTS},
    "get": {"tenant": TENANTS},
    "vectors": {"tenant": TENANTS},
    "ids": {"filter": [], "tenant": TENANTS},
    "count": {"filter": [], "tenant": TENANTS},
    "facets": {"field": [*FIELDS, None], "limit": [*NUMBERS, 0], "filter": [], "tenant": TENANTS},
    "documents": {
        "order_by": FIELDS,
        "descending": FLAGS,
        "after": [True, 2.5, "", [1], 2**80],
        "limit": [*NUMBERS, 0],
        "filter": [],
        "tenant": TENANTS,
    },
    "explain": {"text": SEARCH["text"], "tenant": TENANTS},
    "encode": {"encoder": [5, "minilm"]},
    "insert": {"tenant": TENANTS, "sparse": [*SPARSE, [{"t": -1.0}]]},
    "upsert": {"tenant": TENANTS, "sparse": [*SPARSE, [{"t": -1.0}]]},
    "update": {"merge": FLAGS, "tenant": TENANTS},
    "delete": {"filter": [], "tenant": TENANTS},
    "delete_tenant": {"name": TENANTS[:-1]},
    "transaction": {"timeout": SECONDS},
    "collection": {
        "name": NAMES,
        "dim": DIMS,
        "bits": [*NUMBERS, None, 3],
        "encoder": [5, "minilm"],
    },
    "drop_collection": {"name": NAMES},
    "insert_batches": {
        "batches": [5, None],
        "tenant": TENANTS,
        "commit_every": [*NUMBERS, 0],
        "progress": FUNCTIONS,
        "total": NUMBERS,
        "cancel": FUNCTIONS,
    },
    "optimize": {"progress": FUNCTIONS, "lexical": LEXICAL, "cancel": FUNCTIONS},
    "compact": {"path": PATHS, "progress": FUNCTIONS, "cancel": FUNCTIONS},
    "backup": {"path": [*PATHS, None], "progress": FUNCTIONS, "cancel": FUNCTIONS},
    "verify": {"deep": FLAGS, "progress": FUNCTIONS, "cancel": FUNCTIONS},
}
DOCUMENTS = {"query", "ids", "id", "embeddings", "texts", "metadata"}
"""Arguments whose refusals test_bad_input.py has."""
VALID: dict[str, dict[str, Any]] = {
    "search": {"query": matrix(1)},
    "search_batch": {"queries": [matrix(1)]},
    "profile": {"query": matrix(1)},
    "more_like": {"id": 1},
    "rerank": {"query": matrix(1), "ids": [1]},
    "explain": {"query": matrix(1), "id": 1},
    "get": {"ids": [1]},
    "encode": {"texts": []},
    "vectors": {"ids": [1]},
    "insert": {"ids": "new", "embeddings": matrix(1)},
    "upsert": {"ids": 1, "embeddings": matrix(1)},
    "delete": {"ids": [1]},
    "facets": {"field": "n"},
    "documents": {"order_by": "n"},
    "update": {"ids": [1], "metadata": {}},
    "insert_batches": {"batches": []},
    "collection": {"name": "mail", "dim": DIM},
    "backup": {"path": "copy.mvdb"},
}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(OPEN), ids=repr)
@pytest.mark.parametrize("exists", [False, True])
def test_open(tmp_path: Path, name: str, value: Any, exists: bool) -> None:
    path = tmp_path / "a.mvdb"
    if exists:
        mvdb.open(path, dim=DIM).close()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(mvdb.InvalidInputError, match=f"^{name}: "):
        mvdb.open(**{"path": path, "dim": DIM, name: value})
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [(call, name, value) for call, table in CALLS.items() for name, value in cases(table)],
    ids=repr,
)
def test_calls(tmp_path: Path, call: str, name: str, value: Any) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as db:
        fill(db, 3)
        with pytest.raises(mvdb.InvalidInputError, match=f"^{name}: "):
            getattr(db, call)(**{**VALID.get(call, {}), name: value})
        assert len(db) == 3
        db.delete(1)


def test_no_argument_is_left_out() -> None:
    assert inspect.signature(mvdb.open).parameters.keys() == OPEN.keys()
    methods = dict(inspect.getmembers(mvdb.Database))
    for name, method in methods.items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        known = CALLS.get(name, {}).keys() | DOCUMENTS | {"self", "options"}
        assert inspect.signature(method).parameters.keys() <= known, name


def test_numbers_of_numpy_and_large_ones_are_taken(tmp_path: Path) -> None:
    big = 2**62
    options: dict[str, Any] = {"map_size": np.int64(1 << 24), "memory": np.int64(64 << 20)}
    with mvdb.open(
        tmp_path / "a.mvdb", dim=np.int16(DIM), readonly=np.bool_(False), **options
    ) as db:
        fill(db, 3)
        calls: list[Callable[[], list[mvdb.Hit]]] = [
            lambda: db.search(matrix(1), np.int64(3)),  # type: ignore[arg-type]
            lambda: db.search(matrix(1), big),
            lambda: db.search(matrix(1), big, exact=True),
            lambda: db.search(matrix(1), big, candidates=big, nprobe=big),
            lambda: db.search_batch([matrix(1)], big, threads=big)[0],
            lambda: db.rerank(matrix(1), [0, 1, 2], big),
            lambda: db.search(matrix(1), min_score=np.float32(-100)),  # type: ignore[arg-type]
            lambda: db.search(matrix(1), min_score=-float("inf")),
            lambda: db.search(matrix(1), min_score=-(10**400)),
        ]
        expected = db.search(matrix(1), 3)
        for call in calls:
            assert call() == expected
        assert db.search(matrix(1), min_score=10**400) == []
        for timeout in (0, np.float64(1), 1e300, float("inf"), 10**400):
            db.transaction(timeout=timeout).rollback()  # type: ignore[arg-type]
        assert db.insert_batches([("x", matrix(9))], commit_every=big, total=big) == 1


def test_all_searches_take_the_same_options() -> None:
    """`search` spells them out, with the defaults that all of them have."""
    spelled = inspect.signature(Readable.search).parameters
    checked = inspect.signature(SearchOptions.checked).parameters
    assert spelled.keys() - {"self", "query", "k"} == SearchArguments.__annotations__.keys()
    assert checked.keys() - {"k"} == SearchArguments.__annotations__.keys()
    for name in SearchArguments.__annotations__:
        assert spelled[name].default == checked[name].default, name
