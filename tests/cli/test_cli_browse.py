"""Commands that ask no query, and deletion by filter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import CommandLine

LINES = [
    {"id": "a", "text": "first\nline", "metadata": {"lang": "de", "n": 1, "tags": ["x", "y"]}},
    {"id": "b", "text": "second \x1b[1m", "metadata": {"lang": "en", "n": 3.5, "tags": ["x"]}},
    {"id": "c", "text": "third", "metadata": {"lang": "de", "n": 2, "tags": []}},
    {"id": 7, "text": "fourth", "metadata": {"lang": None, "draft": True}},
]


@pytest.fixture
def shop(mvdb_cli: CommandLine) -> CommandLine:
    mvdb_cli.index("-", "n.mvdb", stdin="\n".join(map(json.dumps, LINES)))
    return mvdb_cli


def listed(cli: CommandLine, *arguments: str) -> list[Any]:
    answer = cli.ok("list", "n.mvdb", *arguments, "--json").json
    return [document["id"] for document in answer["documents"]]


def test_count(shop: CommandLine) -> None:
    assert shop.ok("count", "n.mvdb").out == "4\n"
    answer = shop.ok("count", "n.mvdb", "--filter", '{"lang": "de"}', "--json").json
    assert answer == {"file": "n.mvdb", "count": 2}
    outcome = shop("count", "n.mvdb", "--filter", '{"$x": 1}')
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)


def test_facets(shop: CommandLine) -> None:
    shown = shop.ok("facets", "n.mvdb", "lang").out.splitlines()
    assert shown == ["2  de", "1  null", "1  en"]
    answer = shop.ok("facets", "n.mvdb", "tags", "--limit", "1", "--json").json
    values = [{"value": "x", "count": 2}]
    assert answer == {"file": "n.mvdb", "field": "tags", "values": values}
    answer = shop.ok("facets", "n.mvdb", "n", "--filter", '{"lang": "de"}', "--json").json
    assert [(one["value"], one["count"]) for one in answer["values"]] == [(1, 1), (2, 1)]
    nothing = shop("facets", "n.mvdb", "no\nsuch")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "no document has a value of no such\n"


def test_list(shop: CommandLine) -> None:
    shown = shop.ok("list", "n.mvdb").out.splitlines()
    assert shown == ["7  fourth", "a  first line", "b  second \ufffd[1m", "c  third"]
    assert listed(shop, "--order-by", "n") == ["a", "c", "b", 7]
    assert listed(shop, "--order-by", "n", "--descending", "--limit", "2") == ["b", "c"]
    assert listed(shop, "--order-by", "n", "--descending", "--after", "c") == ["a", 7]
    assert listed(shop, "--after", "7", "--integers") == ["a", "b", "c"]
    assert listed(shop, "--filter", '{"tags": "x"}') == ["a", "b"]
    answer = shop.ok("list", "n.mvdb", "--limit", "1", "--after", "b", "--json").json
    assert answer["documents"] == [{**LINES[2], "n_tokens": 1}]
    assert shop("list", "n.mvdb", "--filter", '{"lang": "fr"}').err == "no documents\n"
    for arguments in (("--descending",), ("--after", "x", "--integers"), ("--order-by", "$n")):
        outcome = shop("list", "n.mvdb", *arguments)
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)


def test_delete_by_filter(shop: CommandLine) -> None:
    shown = shop.ok("delete", "n.mvdb", "--filter", '{"lang": "de"}').out
    assert shown == "2 documents deleted\n"
    answer = shop.ok("delete", "n.mvdb", "--filter", '{"lang": "de"}', "--json").json
    assert answer == {"file": "n.mvdb", "deleted": 0, "not_found": 0}
    assert listed(shop) == [7, "b"]
