"""Asking for records ahead of use: never another answer, and figures that make sense."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb import core
from mvdb.search.prefetch import MODES, Fetches, Prefetcher
from tests.index.files import DIM, LISTED, TOPICS, fill, listed, open_state, pairs, query_for
from tests.support.children import run_program
from tests.support.opening import by_lists, opened

PAGE = 4096
N = 900


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with three segments with lists."""
    name = tmp_path_factory.mktemp("prefetching") / "a.mvdb"
    with opened(name, LISTED, dim=DIM, bits=4, background=False) as db:
        fill(db, N, commits=3)
        assert listed(db) == [True] * 3
    return name


def ask(path: str, mode: str) -> list[dict[str, Any]]:
    """What queries find and cost, in their order."""
    answers = []
    with opened(path, by_lists(candidates=60), readonly=True, prefetch=mode) as db:
        for seed in range(2 * TOPICS):
            profile = db.profile(query_for(seed % TOPICS, seed), 10)
            answers.append(
                {
                    "hits": pairs(profile.hits),
                    "plan": profile.plan,
                    "reads": profile.reads,
                    "bytes": profile.bytes_read,
                    "prefetched": profile.prefetched,
                    "rate": profile.prefetch_hit_rate,
                    "wasted": profile.wasted_bytes,
                }
            )
        for seed in range(2 * TOPICS):
            query = query_for(seed % TOPICS, seed)
            answers.append({"hits": pairs(db.search(query, 10, exact=True))})
        last = db.profile(query_for(0), 10)
        answers.append({"hits": pairs(last.hits), "reads": last.reads, "bytes": last.bytes_read})
    return answers


@pytest.fixture(scope="module")
def answers(path: Path) -> dict[str, list[dict[str, Any]]]:
    """By mode, each in a fresh process."""
    result = {}
    for mode in MODES:
        done = run_program("tests.index.test_prefetching", path, mode)
        assert done.returncode == 0, done.stderr
        result[mode] = json.loads(done.stdout)
    return result


def test_all_modes_find_the_same(answers: dict[str, list[dict[str, Any]]]) -> None:
    hits = {mode: [one["hits"] for one in found] for mode, found in answers.items()}
    assert hits["hint"] == hits["read"] == hits["off"]
    assert all(len(found) == 10 for found in hits["off"])


@pytest.mark.parametrize("mode", ["hint", "read"])
def test_the_figures_are_sane(
    answers: dict[str, list[dict[str, Any]]], mode: str, path: Path
) -> None:
    """The first query asks for all it reads; whole pages, no more than the file has (a page may be
    asked for by several ranges); of what was asked for early some is needed."""
    asked = [one for one in answers[mode] if "plan" in one]
    size = path.stat().st_size
    first = asked[0]
    assert first["reads"] > 0
    assert first["bytes"] >= PAGE
    assert first["prefetched"] > 0, "a fresh file is expected to be read"
    for one in asked:
        assert one["plan"] == "lists"
        assert one["bytes"] % PAGE == 0
        assert one["reads"] * PAGE <= one["bytes"] <= one["reads"] * size
        assert (one["reads"] > 0) == (one["bytes"] > 0)
        assert 0 <= one["rate"] <= 1
        assert one["rate"] == 0 or one["prefetched"] > 0
        assert 0 <= one["wasted"] <= size
    assert sum(one["rate"] for one in asked[:6]) > 1, "what is prefetched is never needed"
    assert any(one["wasted"] for one in asked)


def test_without_prefetching_nothing_is_asked_for(
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    for one in answers["off"]:
        if "reads" in one:
            assert (one["reads"], one["bytes"]) == (0, 0)
        if "plan" in one:
            assert (one["prefetched"], one["rate"]) == (0, 0)


def test_what_has_been_read_is_not_asked_for_again(path: Path) -> None:
    """Unless the system is found to evict pages: a query that had to wait makes the next ones ask
    for everything, for a while."""
    with opened(path, by_lists(candidates=60), readonly=True) as db:
        query = query_for(1)
        first = db.profile(query, 10)
        assert first.reads > 0
        second = db.profile(query, 10)
        assert second.reads < first.reads  # only what was asked for early and not needed
        assert second.bytes_read <= second.wasted_bytes + PAGE * 2 * second.prefetched
        prefetcher = db._engine.prefetcher

        def reads_in_the_end() -> bool:
            """Whether queries ask for something as long as they do not wait, which some machines
            make any process do at any time."""
            for _ in range(1000):
                again = db.profile(query, 10)
                assert pairs(again.hits) == pairs(first.hits)
                if not (again.reads or again.bytes_read or again.prefetch_hit_rate):
                    return False
            return True

        assert not reads_in_the_end()
        prefetcher.note(1, 0.0)
        pressed = db.profile(query, 10)
        assert pressed.reads > 0
        assert pressed.prefetched > 0
        assert pressed.prefetch_hit_rate > 0
        assert not reads_in_the_end()


def test_a_query_that_waits_asks_for_the_rest(path: Path) -> None:
    """Once a query has waited for a page, it tells of what it reads next, verified or not."""
    with opened(path, by_lists(candidates=60), readonly=True) as db:
        query = query_for(1)
        for _ in range(3):
            db.profile(query, 10)
        db._engine.prefetcher = WaitingPrefetcher("hint")
        profile = db.profile(query, 10)
        assert profile.reads > 0
        assert profile.prefetch_hit_rate > 0


class WaitingPrefetcher(Prefetcher):
    """Takes every query for one that has waited since it began."""

    def query(self) -> Fetches:
        fetches = super().query()
        fetches._faults = -1
        return fetches


def test_nothing_is_asked_for_twice_by_one_query(path: Path) -> None:
    with mvdb.open(path, readonly=True) as db:
        txn, state = open_state(db)
        with txn:
            slots = all_slots(state.segments)
            fetches = Prefetcher("hint").query()
            vectors = state.open_vectors(txn)
            fetches.early(vectors, slots)
            reads = fetches.reads
            assert reads > 0
            assert fetches.prefetched == len(slots)
            fetches.records(vectors, slots)
            assert fetches.reads == reads
            assert (fetches.hits, fetches.needed) == (len(slots), len(slots))


def all_slots(segments: list[Any]) -> Any:
    """All documents of some segments."""
    parts = []
    for number, segment in enumerate(segments):
        part = np.empty(len(segment), core.PLACE)
        part["segment"], part["document"] = number, np.arange(len(segment))
        parts.append(part)
    return np.concatenate(parts)


@pytest.mark.parametrize("mode", ["", "on", None, 1])
def test_another_mode_is_refused(path: Path, mode: Any) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="prefetch"):
        mvdb.open(path, prefetch=mode)


if __name__ == "__main__":
    print(json.dumps(ask(*sys.argv[1:])))
