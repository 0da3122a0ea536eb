"""Columns answer every filter as the brute-force matcher does; damaged ones may answer wrongly."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import random
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvdb.errors import CorruptionError
from mvdb.filters.column_blobs import (
    ALL,
    BIG_INT,
    BITMAP,
    CODES,
    EXISTS,
    FLOAT,
    GROUPED,
    INT,
    ROWS,
    STRING,
    TRUE,
    UNIQUE,
)
from mvdb.filters.columns import Builder, ColumnIndex, Columns
from mvdb.filters.evaluate import bitmap_of, evaluate
from mvdb.filters.language import parse

_spec = importlib.util.spec_from_file_location("brute", Path(__file__).with_name("brute.py"))
assert _spec is not None
assert _spec.loader is not None
brute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(brute)

INTS = [
    0, 1, -1, 2, 3, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1, 2**64 + 1, -(2**64), 10**300, -(10**300), 10**400, 2**1024 - 2**970,
]  # fmt: skip
FLOATS = [
    0.0, -0.0, 1.0, 0.5, -0.5, 1.5, 2.0, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**64,
    1e300, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308,
]  # fmt: skip
STRINGS = ["", "a", "ab", "b", "ba", "aa", "é", "\uffff", "\U0001f600", "a\0", "\0", ".*", "1"]
KEYS = ["a", "b", "c", "a.b", "b.c", "", "$x", "é"]
PATHS = ["a", "b", "c", "a.b", "a.b.c", "b.c", "a.a", "", "a.", "a.$x", "é", "missing"]

NUMBERS = st.sampled_from([*INTS, *FLOATS]) | st.integers(-3, 3) | st.floats(-3, 3)
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(STRINGS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.none() | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
COLLECTIONS = st.lists(DOCUMENTS, max_size=20)

ORDERED = NUMBERS | st.sampled_from([math.inf, -math.inf]) | st.sampled_from(STRINGS)
OPERANDS = SCALARS | st.sampled_from([math.inf, -math.inf])
CONDITIONS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "$eq": OPERANDS,
            "$ne": OPERANDS,
            "$gt": ORDERED,
            "$gte": ORDERED,
            "$lt": ORDERED,
            "$lte": ORDERED,
            "$in": st.lists(OPERANDS, max_size=4),
            "$nin": st.lists(OPERANDS, max_size=4),
            "$exists": st.booleans(),
            "$contains": OPERANDS,
            "$not": CONDITIONS,
        },
    ).filter(bool)
)
SINGLE = st.tuples(st.sampled_from(PATHS), OPERANDS | CONDITIONS).map(lambda pair: dict([pair]))
FILTERS = st.recursive(
    SINGLE | st.dictionaries(st.sampled_from(PATHS), OPERANDS | CONDITIONS, max_size=2),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"$and": nodes})
        | st.lists(inner, min_size=1, max_size=3).map(lambda nodes: {"$or": nodes})
        | inner.map(lambda node: {"$not": node})
    ),
    max_leaves=3,
)


def build(documents: list[Any]) -> list[bytes]:
    builder = Builder()
    for metadata in documents:
        builder.add(metadata)
    return builder.build()


def opened(blobs: Sequence[bytes | memoryview], n_documents: int) -> Columns:
    return Columns(ColumnIndex(n_documents, blobs[0]), blobs.__getitem__)


def open_columns(documents: list[Any]) -> Columns:
    return opened(build(documents), len(documents))


def found(documents: list[Any], filter: dict[str, Any]) -> list[int]:
    mask = evaluate(parse(filter), open_columns(documents))
    assert mask.dtype == np.bool_
    assert mask.shape == (len(documents),)
    return [int(row) for row in np.flatnonzero(mask)]


def expected(documents: list[Any], filter: dict[str, Any]) -> list[int]:
    return [row for row, each in enumerate(documents) if brute.matches(each, filter)]


@settings(max_examples=400, deadline=None)
@given(COLLECTIONS, st.lists(FILTERS, min_size=1, max_size=4))
def test_equals_brute_force(documents: list[Any], asked: list[dict[str, Any]]) -> None:
    columns = open_columns(documents)
    columns.verify()
    for filter in asked:
        mask = evaluate(parse(filter), columns)
        assert np.flatnonzero(mask).tolist() == expected(documents, filter), filter


@settings(max_examples=150, deadline=None)
@given(st.lists(SCALARS | st.lists(SCALARS, max_size=3), min_size=1, max_size=30), st.data())
def test_one_field_under_every_operator(values: list[Any], data: st.DataObject) -> None:
    documents = [{"a": value} for value in values]
    columns = open_columns(documents)
    for operator in ("$eq", "$gt", "$gte", "$lt", "$lte", "$contains"):
        operand = data.draw(ORDERED)
        filter = {"a": {operator: operand}}
        mask = evaluate(parse(filter), columns)
        assert np.flatnonzero(mask).tolist() == expected(documents, filter), filter


def test_exact_between_int_and_float() -> None:
    values: list[Any] = [*INTS, *FLOATS]
    documents = [{"n": value} for value in values]
    columns = open_columns(documents)
    for operand in [*values, math.inf, -math.inf, 2**1100, -(2**1100)]:
        for operator in ("$eq", "$gt", "$gte", "$lt", "$lte"):
            filter = {"n": {operator: operand}}
            mask = evaluate(parse(filter), columns)
            assert np.flatnonzero(mask).tolist() == expected(documents, filter), filter


def collection(kind: str, n_documents: int) -> list[Any]:
    chance = random.Random(7)
    make: dict[str, Any] = {
        "codes": lambda row: {"v": chance.randrange(250), "s": f"s{chance.randrange(200)}"},
        "unique": lambda row: {"v": row / 7 - 3, "s": f"s{row}"},
        "grouped": lambda row: {"v": row // 3, "s": f"s{row // 2}"},
        "lists": lambda row: {"v": [row % 50, row % 7], "s": [f"s{row % 9}", f"s{row % 400}"]},
        "sparse": lambda row: {"v": row, "s": "s1"} if row % 97 == 0 else {"t": row % 2 == 0},
        "big": lambda row: {"v": (row - n_documents // 2) * 2**70, "s": "s" * (row % 90)},
    }
    return [make[kind](row) for row in range(n_documents)]


CHOSEN = {
    "codes": {("v", INT, False): CODES, ("s", STRING, False): CODES},
    "unique": {("v", FLOAT, False): UNIQUE, ("s", STRING, False): UNIQUE},
    "grouped": {("v", INT, False): GROUPED, ("s", STRING, False): GROUPED},
    "lists": {("v", INT, True): GROUPED, ("s", STRING, True): GROUPED},
    "sparse": {
        ("v", INT, False): UNIQUE,
        ("s", STRING, False): GROUPED,
        ("t", TRUE, False): BITMAP,
    },
    "big": {("v", BIG_INT, False): UNIQUE, ("s", STRING, False): CODES},
}
"""The layouts on disk of some columns of a collection."""


@pytest.mark.parametrize("kind", CHOSEN)
@pytest.mark.parametrize("n_documents", [1500, 70_000])
def test_layouts(kind: str, n_documents: int) -> None:
    """Sizes at which every layout, and both widths of row numbers, are really chosen."""
    documents = collection(kind, n_documents)
    columns = open_columns(documents)
    columns.verify()
    assert {key: columns.index.entries[key].layout for key in CHOSEN[kind]} == CHOSEN[kind]
    sets = {entry.layout for key, entry in columns.index.entries.items() if key[1] == EXISTS}
    assert sets == ({ROWS, BITMAP} if kind == "sparse" else {ALL})
    sample = random.Random(1).sample(range(n_documents), 1500)
    asked: list[dict[str, Any]] = [
        {"v": 5},
        {"v": {"$gt": 20, "$lte": 100.5}},
        {"v": {"$gte": 2**75}},
        {"v": {"$in": [1, 4, 9, 2**70, 33, -3]}},
        {"s": {"$in": ["s1", "s3", "s7", "s399", "none"]}},
        {"s": {"$contains": "s1"}},
        {"s": {"$contains": "9"}},
        {"s": {"$lt": "s2"}},
        {"s": {"$ne": "s1"}},
        {"t": True},
        {"t": {"$exists": False}},
    ]
    for filter in asked:
        mask = evaluate(parse(filter), columns)
        wanted = [brute.matches(documents[row], filter) for row in sample]
        assert mask[sample].tolist() == wanted, filter


def test_substrings_do_not_span_strings() -> None:
    documents = [{"t": text} for text in ["xa", "aa", "ab", "aXa", "a.b"]]
    assert found(documents, {"t": {"$contains": "aa"}}) == [1]
    assert found(documents, {"t": {"$contains": "aab"}}) == []
    assert found(documents, {"t": {"$contains": "."}}) == [4]
    assert found(documents, {"t": {"$contains": ""}}) == [0, 1, 2, 3, 4]
    assert found(documents, {"t": {"$contains": "a" * 1_000_000}}) == []


def test_substrings_in_more_text_than_is_read_at_once() -> None:
    """Blocks end between strings, also where one string is longer than a block."""
    sizes = [10, 900_000, 300_000, 5, 3_000_000, 1, 40_000, 1_100_000]
    documents = [{"t": f"{row}{'x' * size}end{row}"} for row, size in enumerate(sizes)]
    for row in range(len(sizes)):
        assert found(documents, {"t": {"$contains": f"xend{row}"}}) == [row]
    assert found(documents, {"t": {"$contains": "x"}}) == list(range(len(sizes)))
    assert found(documents, {"t": {"$contains": "x" * 1_000_000}}) == [4, 7]


def test_documented_examples() -> None:
    documents: list[Any] = [
        {"author": {"name": "Ann"}, "tags": ["python", "c"]},
        {"author.name": "Ann", "tags": "python"},
        {"authors": [{"name": "Ann"}, {"name": "Bo"}], "tags": []},
        {"tags": None, "$schema": "x", "o": {}},
        None,
    ]
    assert found(documents, {"author.name": "Ann"}) == [0, 1]
    assert found(documents, {"authors.name": "Bo"}) == [2]
    assert found(documents, {"tags": {"$contains": "py"}}) == [1]
    assert found(documents, {"tags": {"$contains": "python"}}) == [0, 1]
    assert found(documents, {"tags": None}) == [3]
    assert found(documents, {"tags": {"$ne": None}}) == [0, 1, 2, 4]
    assert found(documents, {"tags": {"$exists": True}}) == [0, 1, 2, 3]
    assert found(documents, {"tags": {"$nin": ["c", "python"]}}) == [2, 3, 4]
    assert found(documents, {"o": {"$exists": True}}) == [3]
    assert found(documents, {}) == [0, 1, 2, 3, 4]


def test_same_documents_same_bytes_and_no_documents() -> None:
    documents = collection("lists", 300)
    assert build(documents) == build([dict(each) for each in documents])
    assert build([{"a": 0.0}]) == build([{"a": -0.0}])
    assert found([], {"a": 1}) == []
    assert found([None, {}], {"a": {"$ne": 1}}) == [0, 1]


@pytest.mark.parametrize("n_values", [254, 255, 256])
def test_as_many_values_as_codes(n_values: int) -> None:
    documents: list[Any] = [{"v": row % n_values} for row in range(3 * n_values)] + [None]
    columns = open_columns(documents)
    columns.verify()
    for filter in ({"v": {"$gte": 0}}, {"v": n_values - 1}, {"v": {"$in": [0, n_values - 1]}}):
        mask = evaluate(parse(filter), columns)
        assert np.flatnonzero(mask).tolist() == expected(documents, filter), filter


@pytest.mark.parametrize("shift", [0, 1, 3, 4])
def test_alignment_does_not_matter(shift: int) -> None:
    documents = collection("unique", 500)
    moved = [memoryview(b"x" * shift + blob)[shift:] for blob in build(documents)]
    columns = opened(moved, len(documents))
    columns.verify()
    assert evaluate(parse({"v": {"$gt": 3.3}, "s": {"$gt": "s2"}}), columns).any()


def test_few_values_cost_little() -> None:
    """A bool costs two bits a document, a language a byte: not four bytes."""
    documents = [{"ok": row % 3 == 0, "lang": "en" if row % 5 else "de"} for row in range(8000)]
    assert sum(map(len, build(documents))) < 8000 * (0.25 + 1) + 400


# Memory


def test_a_repeated_filter_reads_and_decodes_nothing() -> None:
    documents = collection("grouped", 3000)
    blobs = build(documents)
    read: list[int] = []

    def reading(number: int) -> bytes:
        read.append(number)
        return blobs[number]

    columns = Columns(ColumnIndex(len(documents), blobs[0]), reading)
    first = bitmap_of(parse({"v": {"$gte": 7, "$lt": 400}}), columns, None)
    assert len(read) == 1
    assert np.array_equal(bitmap_of(parse({"v": {"$gte": 7, "$lt": 400}}), columns, None), first)
    assert bitmap_of(parse({"v": 900}), columns, None).sum() == 3
    assert len(read) == 1, "the column is read once"


def test_filters_that_python_calls_equal_are_told_apart() -> None:
    columns = open_columns([{"v": True}, {"v": 1}, {"v": 1.0}, {"v": "1"}])
    for value, rows in ((1, [1, 2]), (True, [0]), (1.0, [1, 2]), ("1", [3])):
        assert np.flatnonzero(bitmap_of(parse({"v": value}), columns, None)).tolist() == rows


def test_decoded_columns_are_kept_within_a_bound() -> None:
    """64 KiB and 64 bytes a document: ten fields of 16 bytes a document do not fit."""
    n_documents = 20_000
    builder = Builder()
    for row in range(n_documents):
        builder.add({f"f{field}": row * 3 + field for field in range(10)})
    blobs = builder.build()
    columns = opened(blobs, n_documents)
    tracemalloc.start()
    try:
        for turn in range(3):
            for field in range(10):
                found = bitmap_of(
                    parse({f"f{field}": {"$lt": 300 * turn + field + 3}}), columns, None
                )
                assert found.sum() == 100 * turn + 1
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept <= (1 << 16) + 64 * n_documents + 50_000, kept
    assert kept > 32 * n_documents, "hardly anything is kept"


# Damage

DAMAGED = [
    {"a": row % 5, "b": [f"t{row % 11}", row * 2**64], "c": {"d": row / 3, "e": f"s{row}"}}
    | ({"f": row % 2 == 0, "g": None} if row % 7 == 0 else {"h": [True, row // 4]})
    for row in range(60)
]
QUESTIONS: list[dict[str, Any]] = [
    {"a": {"$gte": 2}},
    {"a": {"$in": [1, 3]}},
    {"b": {"$in": ["t1", "t4", "t7", 2**64]}},
    {"b": {"$gt": 2**66}},
    {"c.d": {"$lt": 7.5}},
    {"c.e": {"$contains": "s1"}},
    {"c.e": {"$gt": "s2"}},
    {"f": True},
    {"g": None},
    {"h": {"$in": [True, 3, 9, 10]}},
    {"h": {"$exists": False}},
]


def ask_everything(blobs: list[bytes]) -> None:
    """Every answer is a mask or a ``CorruptionError``; any other exception fails the test."""
    try:
        columns = opened(blobs, len(DAMAGED))
    except CorruptionError:
        return
    for filter in QUESTIONS:
        with contextlib.suppress(CorruptionError):
            assert evaluate(parse(filter), columns).shape == (len(DAMAGED),)
    with contextlib.suppress(CorruptionError):
        columns.verify()


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_flipped_bits(data: st.DataObject) -> None:
    blobs = [bytearray(blob) for blob in build(DAMAGED)]
    for _ in range(data.draw(st.integers(1, 4))):
        blob = blobs[data.draw(st.integers(0, len(blobs) - 1) | st.just(0))]
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    ask_everything([bytes(blob) for blob in blobs])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_overwritten_and_resized(data: st.DataObject) -> None:
    blobs = build(DAMAGED)
    index = data.draw(st.integers(0, len(blobs) - 1) | st.just(0))
    blob = blobs[index]
    start = data.draw(st.integers(0, len(blob)))
    end = data.draw(st.integers(start, min(len(blob), start + 8)))
    blobs[index] = blob[:start] + data.draw(st.binary(max_size=8)) + blob[end:]
    ask_everything(blobs)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_directory(tail: bytes) -> None:
    blobs = build(DAMAGED)
    ask_everything([blobs[0][:24] + tail, *blobs[1:]])


def test_damaged_counts_ask_for_no_memory() -> None:
    """From the low bits up: a fault fails the assertion before it exhausts the memory."""
    blobs = build(DAMAGED)
    tracemalloc.start()
    try:
        for bit in range(8 * 24):
            damaged = bytearray(blobs[0])
            damaged[bit // 8] ^= 1 << bit % 8
            ask_everything([bytes(damaged), *blobs[1:]])
            assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_truncation_is_always_noticed() -> None:
    blobs = build(DAMAGED)
    for index, blob in enumerate(blobs):
        for size in {0, 1, len(blob) // 2, len(blob) - 1}:
            cut = [*blobs[:index], blob[:size], *blobs[index + 1 :]]
            ask_everything(cut)
            with pytest.raises(CorruptionError):
                opened(cut, len(DAMAGED)).verify()


def test_single_flips_are_nearly_all_seen_by_verify() -> None:
    """Not a promise (checksums are the storage's), but ``verify`` checks in earnest."""
    blobs = build(DAMAGED)
    chance = random.Random(3)
    seen = 0
    for _ in range(400):
        index = chance.randrange(len(blobs))
        damaged = bytearray(blobs[index])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        changed = [*blobs[:index], bytes(damaged), *blobs[index + 1 :]]
        try:
            opened(changed, len(DAMAGED)).verify()
        except CorruptionError:
            seen += 1
    assert seen > 200


def test_another_segment_and_missing_blobs() -> None:
    blobs = build(DAMAGED)
    with pytest.raises(CorruptionError):
        opened(blobs, len(DAMAGED) + 1)
    with pytest.raises(CorruptionError):
        opened(blobs[:2], len(DAMAGED)).verify()
