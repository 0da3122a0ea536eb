"""Which plan a search takes, by its costs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from mvdb.limits import Limits
from mvdb.search import plan as planning
from tests.index.files import DIM, LISTED, fill, listed, query_for
from tests.support.opening import by_lists, opened


def part(documents: int, *, lists: int = 4096, allowed: float = 1.0) -> planning.Part:
    return planning.Part(lists, documents, 60 * documents, int(documents * allowed))


def costs(parts: list[planning.Part], m: int, nprobe: int, wanted: int) -> dict[str, float]:
    return planning.costs(parts, m, nprobe, wanted, Limits())


def plan_for(
    parts: list[planning.Part], *, wanted: int = 768, nprobe: int = 32, asked: bool = False
) -> str:
    allowed = sum(one.allowed for one in parts)
    return planning.choose(costs(parts, 32, nprobe, wanted), parts, allowed, wanted, asked=asked)


def test_lists_are_taken_where_they_cost_less() -> None:
    assert plan_for([part(1_000_000, lists=1 << 17)]) == planning.LISTS
    assert plan_for([part(1_000_000, lists=0)]) == planning.INTERACTION
    # So many lists of so few centroids are the whole collection, several times.
    assert plan_for([part(1_000_000, lists=100)]) == planning.INTERACTION
    assert plan_for([part(1_000_000, lists=1 << 17)], nprobe=1 << 14) == planning.INTERACTION
    assert plan_for([part(400)]) == planning.EXACT
    assert plan_for([]) == planning.EXACT


def test_whoever_asks_for_as_many_candidates_as_there_are_documents_gets_all_scored() -> None:
    """By default only while that takes no longer than to look at their codes first."""
    assert plan_for([part(512)]) == planning.EXACT
    assert plan_for([part(600)], wanted=600) == planning.INTERACTION
    assert plan_for([part(600)], wanted=600, asked=True) == planning.EXACT
    assert plan_for([part(600)], wanted=599, asked=True) == planning.INTERACTION


def test_a_filter_decides_the_plan() -> None:
    """One that leaves fewer documents than would be looked at: all are scored. One that leaves few
    of a large collection: their codes are looked at. Lists only where they find enough."""
    assert plan_for([part(1_000_000, lists=1 << 17, allowed=0.0005)]) == planning.EXACT
    assert plan_for([part(1_000_000, lists=1 << 17, allowed=0.001)]) == planning.INTERACTION
    assert plan_for([part(1_000_000, lists=1 << 17, allowed=0.9)]) == planning.LISTS
    estimates = costs([part(1_000_000, lists=1 << 17, allowed=0.001)], 32, 32, 512)
    assert planning.LISTS not in estimates
    assert estimates[planning.INTERACTION] < estimates[planning.EXACT]


def test_whoever_asks_for_few_lists_gets_them() -> None:
    """And not all codes of a large collection, which take far longer; unless a filter leaves little
    of what they find."""
    large = part(1_000_000, lists=1 << 17)
    assert plan_for([large], nprobe=1) == planning.LISTS
    assert plan_for([large._replace(allowed=600_000)], nprobe=1) == planning.LISTS
    assert plan_for([large._replace(allowed=20_000)], nprobe=1) == planning.INTERACTION
    assert plan_for([part(1500, lists=1 << 12)], nprobe=1) == planning.INTERACTION


def test_costs_grow_with_what_is_read() -> None:
    one = costs([part(1_000_000)], 32, 32, 512)
    two = costs([part(1_000_000), part(1_000_000)], 32, 32, 512)
    half = costs([part(1_000_000, allowed=0.5)], 32, 32, 512)
    long = costs([part(1_000_000)], 64, 32, 512)
    for plan, cost in one.items():
        assert two[plan] > cost
        assert long[plan] > cost
    for plan in (planning.EXACT, planning.INTERACTION):
        assert half[plan] == pytest.approx(one[plan] / 2)


def test_more_lists_need_more_groups() -> None:
    for nprobe in (8, 32, 60):
        assert planning.near_groups(planning.LISTS, nprobe) == 16 + nprobe // 6


def test_plans_of_a_small_file(tmp_path: Path) -> None:
    """With the real constants a small file with lists is not searched through them."""
    with opened(tmp_path / "a.mvdb", LISTED, dim=DIM, background=False) as db:
        fill(db, 800)
        assert listed(db) == [True]
        profile = db.profile(query_for(1), 5)
        assert profile.plan == planning.INTERACTION
        assert set(profile.costs) >= {planning.EXACT, planning.INTERACTION}
        assert db.profile(query_for(1), 5, candidates=800).plan == planning.EXACT
        exact = db.profile(query_for(1), 5, exact=True)
        assert (exact.plan, exact.costs) == (planning.EXACT, {})
    with opened(tmp_path / "a.mvdb", by_lists(LISTED), background=False) as db:
        assert db.profile(query_for(1), 5).plan == planning.LISTS


def test_more_lists_are_read_where_centroids_were_added(tmp_path: Path) -> None:
    """Codes from before are of older centroids: documents alike are in more lists."""
    for newcomers, more in ((math.inf, False), (2.0, True)):
        limits = replace(
            LISTED, train_documents=100, extended_at_once=0, newcomers_per_centroid=newcomers
        )
        path = tmp_path / f"{newcomers}.mvdb"
        with opened(path, by_lists(limits), dim=DIM, bits=2, background=False) as db:
            fill(db, 300)
            fill(db, 400, first=300)
            db.optimize()
            by_default, least = (db.profile(query_for(0), 10, nprobe=n) for n in (None, 48))
            assert by_default.plan == least.plan == planning.LISTS
            assert (by_default.lists > least.lists) == more
