"""``mvdb search`` leaves out what does not answer the query."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from conftest import ENCODER, CommandLine, Outcome

import mvdb.cli

NOTHING = "nothing found of relevance 0.5 or more; --min-relevance 0 shows the nearest\n"
TOPICS = (
    ["bread", "flour", "oven", "yeast", "dough", "crust", "baker", "rye", "butter", "salt"],
    ["pump", "valve", "pressure", "pipe", "leak", "motor", "seal", "gauge", "tank", "flow"],
    ["piano", "violin", "chord", "melody", "rhythm", "concert", "singer", "tune", "drum", "bow"],
    ["glacier", "moraine", "ice", "valley", "melt", "snow", "ridge", "crevasse", "summit", "rope"],
)
REAL = ("flour yeast", "valve leak", "violin melody", "snow ridge summit")
NONSENSE = ("asdf jklo", "xqzt wvkp rrgh", "tenure parliament ballot", "gluon quark")
"""Random letters, and words of other fields."""


def lines(count: int) -> str:
    """JSON lines about the topics; one document has a number."""
    rng = random.Random(4)
    texts = [" ".join(rng.choices(TOPICS[i % len(TOPICS)], k=12)) for i in range(count)]
    texts[0] += " and error E1279 of the line"
    return "\n".join(json.dumps({"id": i, "text": text}) for i, text in enumerate(texts))


Search = Callable[..., Outcome]


@pytest.fixture
def command(mvdb_cli: CommandLine, capsys: pytest.CaptureFixture[str]) -> Search:
    """Runs a command about `t.mvdb` in this process."""

    def run(*arguments: str) -> Outcome:
        name, *rest = arguments
        code = mvdb.cli.main([name, str(mvdb_cli.folder / "t.mvdb"), *rest])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def search(mvdb_cli: CommandLine, command: Search) -> Search:
    """Searches 80 passages about four topics."""
    mvdb_cli.index("-", "t.mvdb", stdin=lines(80))
    return lambda *arguments: command("search", *arguments, *ENCODER)


def hits(search: Search, *arguments: str) -> list[Any]:
    outcome = search(*arguments, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found: list[Any] = outcome.json["hits"]
    return found


def test_nonsense_finds_nothing_and_questions_keep_their_hits(
    search: Search, mvdb_cli: CommandLine
) -> None:
    before = (mvdb_cli.folder / "t.mvdb").read_bytes()
    for query in NONSENSE:
        assert search(query) == Outcome(0, "", NOTHING)
        assert search(query, "-q") == Outcome(0, "", "")
        assert hits(search, query) == []
    for query, words in zip(REAL, TOPICS, strict=True):
        found = hits(search, query)
        assert len(found) == 5
        assert all(hit["relevance"] >= 0.5 for hit in found)
        assert all(set(hit["text"].split()) & set(words) for hit in found)
    assert (mvdb_cli.folder / "t.mvdb").read_bytes() == before


def test_the_least_relevance_can_be_chosen(search: Search) -> None:
    nearest = hits(search, "asdf jklo", "--min-relevance", "0")
    assert len(nearest) == 5
    assert all(hit["relevance"] < 0.5 for hit in nearest)
    every = hits(search, "flour", "-k", "80", "--min-relevance", "0")
    for least in ("0.2", "0.9"):
        found = hits(search, "flour", "-k", "80", "--min-relevance", least)
        assert {hit["id"] for hit in found} == {
            hit["id"] for hit in every if hit["relevance"] >= float(least)
        }
    said = search("xqzt wvkp", "--min-relevance", "0.25").err
    assert said == NOTHING.replace("0.5", "0.25")


def test_a_number_is_found_among_nonsense(search: Search) -> None:
    assert [hit["id"] for hit in hits(search, "xqzt wvkp E1279")] == [0]
    assert hits(search, "xqzt wvkp E1278") == []


def test_a_search_by_words_alone_has_no_least_relevance(search: Search) -> None:
    query = ("asdf flour", "--mode", "lexical")
    assert hits(search, *query)
    assert hits(search, *query, "--min-relevance", "0")
    wrong = search(*query, "--min-relevance", "0.5")
    assert (wrong.code, wrong.out) == (1, "")
    assert "min_relevance" in wrong.err


def test_a_least_relevance_out_of_range(search: Search) -> None:
    for value in ("1.5", "-0.1", "nan"):
        wrong = search("flour", f"--min-relevance={value}")
        assert (wrong.code, wrong.out) == (1, "")
        assert "min_relevance" in wrong.err
    assert search("flour", "--min-relevance", "x").code == 2


def test_a_small_file_has_no_level_and_shows_the_nearest(
    mvdb_cli: CommandLine, command: Search
) -> None:
    mvdb_cli.index("-", "t.mvdb", stdin=lines(63))
    assert "not measured" in command("info").out
    assert len(hits(command, "search", "asdf jklo", *ENCODER)) == 5
    mvdb_cli.index("-", "t.mvdb", stdin=lines(64))
    assert command("info", "--json").json["relevance_level"] > 0
    assert hits(command, "search", "asdf jklo", *ENCODER) == []
    assert hits(command, "search", "flour", *ENCODER)
