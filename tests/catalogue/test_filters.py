"""The filter language: what is parsed to what, and that every fault is named with its path."""

from __future__ import annotations

import contextlib
import enum
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.errors import FilterError
from mvdb.filters import language
from mvdb.filters.language import And, Compare, Contains, Exists, In, Not, Or, parse


class Lang(str, enum.Enum):
    EN = "en"


@pytest.mark.parametrize(
    ("filter", "tree"),
    [
        ({}, And(())),
        ({"a": 1}, In("a", (1,))),
        ({"a": None}, In("a", (None,))),
        ({"a.b": {"$eq": "x"}}, In("a.b", ("x",))),
        ({"a": {"$ne": 1}}, Not(In("a", (1,)))),
        ({"a": {"$in": [1, "x", None, True]}}, In("a", (1, "x", None, True))),
        ({"a": {"$nin": ()}}, Not(In("a", ()))),
        ({"a": {"$gte": 1, "$lt": 2.5}}, And((Compare("a", "$gte", 1), Compare("a", "$lt", 2.5)))),
        ({"a": {"$contains": "x"}}, Contains("a", "x")),
        ({"a": {"$exists": True}}, Exists("a")),
        ({"a": {"$exists": False}}, Not(Exists("a"))),
        ({"a": {"$not": {"$gt": "x"}}}, Not(Compare("a", "$gt", "x"))),
        ({"a": 1, "b": 2}, And((In("a", (1,)), In("b", (2,))))),
        ({"$or": [{"a": 1}, {}]}, Or((In("a", (1,)), And(())))),
        ({"$and": [{"a": 1}]}, And((In("a", (1,)),))),
        ({"$not": {"a": 1}}, Not(In("a", (1,)))),
        ({"": 1}, In("", (1,))),
        ({"a": math.inf}, In("a", (math.inf,))),
    ],
)
def test_trees(filter: dict[str, Any], tree: language.Node) -> None:
    assert parse(filter) == tree


def test_operands_become_plain_values() -> None:
    values = [np.int64(3), np.float32(0.5), np.bool_(True), Lang.EN, np.str_("x")]
    node = parse({"a": {"$in": values}})
    assert isinstance(node, In)
    assert [type(value) for value in node.values] == [int, float, bool, str, str]
    assert node.values == (3, 0.5, True, "en", "x")
    assert parse({"a": {"$gt": np.uint64(2**64 - 1)}}) == Compare("a", "$gt", 2**64 - 1)
    assert parse({"a": {"$exists": np.bool_(False)}}) == Not(Exists("a"))


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (None, "filter: expected an object of fields, got null"),
        ([], "filter: expected an object of fields, got list"),
        ({1: 2}, "filter: expected keys that are strings, got int"),
        ({"year": {"$gte": [1]}}, "filter.year.$gte: expected a number or a string, got list"),
        ({"year": {"$lt": None}}, "filter.year.$lt: expected a number or a string, got null"),
        ({"year": {"$gt": True}}, "filter.year.$gt: expected a number or a string, got bool"),
        ({"year": {"$lte": math.nan}}, "filter.year.$lte: NaN "),
        ({"year": math.nan}, "filter.year: NaN "),
        ({"a": [1]}, "filter.a: expected a string, number, bool or null, got list; to match one"),
        ({"a": {"$eq": {}}}, "filter.a.$eq: expected a string, number, bool or null, got object"),
        ({"a": b"x"}, "filter.a: expected a string, number, bool or null, got bytes"),
        ({"a": {}}, "filter.a: expected at least one operator, got an empty object"),
        ({"a": {"b": 1}}, "filter.a.b: expected an operator; a nested field is written 'a.b'"),
        ({"a": {"$gt": 1, "b": 1}}, "filter.a.b: expected an operator"),
        ({"a": {"$foo": 1}}, "filter.a.$foo: unknown operator; here one of $eq, $ne,"),
        ({"$foo": 1}, "filter.$foo: unknown operator; here one of $and, $or, $not"),
        ({"$gt": 1}, "filter.$gt: this operator stands under a field"),
        ({"a": {"$or": [1]}}, "filter.a.$or: this operator stands above fields"),
        ({"a": {"$in": "xy"}}, "filter.a.$in: expected a list of values, got str"),
        ({"a": {"$nin": [1, [2]]}}, "filter.a.$nin[1]: expected a string, number, bool or null"),
        ({"a": {"$exists": 1}}, "filter.a.$exists: expected true or false, got int"),
        ({"a": {"$not": 5}}, "filter.a.$not: expected an object of operators, got int"),
        ({"a": {"$not": {"$gt": {}}}}, "filter.a.$not.$gt: expected a number or a string"),
        ({"$and": []}, "filter.$and: expected a non-empty list of filters, got an empty one"),
        ({"$or": {"a": 1}}, "filter.$or: expected a non-empty list of filters, got object"),
        ({"$or": [{"a": 1}, 2]}, "filter.$or[1]: expected an object of fields, got int"),
        ({"$not": [{}]}, "filter.$not: expected an object of fields, got list"),
        ({"$and": [{"$or": [{"x.y": {"$gt": []}}]}]}, "filter.$and[0].$or[0].x.y.$gt: expected"),
        ({"a": "\ud800"}, "filter.a: a string with a lone surrogate"),
        ({"\ud800": 1}, "filter.\\ud800: a string with a lone surrogate"),
        ({"a\nb": []}, "filter.a\\nb: expected"),
        ({"x" * 1000: []}, "filter." + "x" * 60 + "...: expected"),
    ],
)
def test_faults_are_named_with_their_path(filter: Any, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(filter)
    assert str(caught.value).startswith(message)


def nest(key: str, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {key: value if key == "$not" else [value]}
    return value


@pytest.mark.parametrize("key", ["$not", "$and", "$or"])
def test_depth_is_bounded(key: str) -> None:
    parse(nest(key, language.MAX_DEPTH - 1))
    for depth in (language.MAX_DEPTH, 900):
        with pytest.raises(FilterError, match="nested at most 64 deep"):
            parse(nest(key, depth))


def test_depth_under_a_field_is_bounded() -> None:
    value: dict[str, Any] = {"$eq": 1}
    value["$not"] = value
    with pytest.raises(FilterError, match="nested at most 64 deep"):
        parse({"a": value})


def test_size_is_bounded() -> None:
    with pytest.raises(FilterError, match="at most 10000 objects and conditions"):
        parse({"$or": [{"a": 1}] * language.MAX_NODES})
    laughs: dict[str, Any] = {"a": 1}
    for _ in range(50):
        laughs = {"$and": [laughs, laughs]}
    with pytest.raises(FilterError, match="at most 10000 objects and conditions"):
        parse(laughs)
    values = [0] * (language.MAX_VALUES // 2 + 1)
    parse({"a": {"$in": values}})
    with pytest.raises(FilterError, match=r"^filter\.b\.\$in: a filter lists at most"):
        parse({"a": {"$in": values}, "b": {"$in": values}})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*language._FIELD_OPERATORS, *language._TOP_OPERATORS, "a", "b", "$z"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_value_is_a_tree_or_a_filter_error(value: Any) -> None:
    with contextlib.suppress(FilterError):
        hash(parse(value))  # immutable to the leaves
