"""P1, P3, P4: SIGKILL at any moment leaves the last acknowledged commit or the one in flight.

The long form is ``python -m tests.crash.run --kills 20000``.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mvdb
from tests.crash import rounds
from tests.crash.workload import make_config
from tests.support.model import check_content, make_entry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and forkserver are POSIX")

KILLS = int(os.environ.get("MVDB_KILLS", "108"))
SEED = int(os.environ.get("MVDB_SEED", "20250"))
KILLS_OF_A_TEST = 3 * rounds.KILLS_PER_FILE
LANDED = 10
"""Kills that must come amid a creation, a compaction or a backup."""
CUT = 3
"""Kills that must come amid a merge."""
MOST_ROUNDS = 60
"""Rounds until so many have."""


@pytest.mark.parametrize("first", range(0, KILLS, KILLS_OF_A_TEST))
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, first: int) -> None:
    """P1 and P3: after each kill the file verifies and holds exactly the last acknowledged state or
    the one in flight: ids, texts, metadata, vectors, and what searches find."""
    counts: Counter[str] = Counter()
    for kill in range(first, min(first + KILLS_OF_A_TEST, KILLS), rounds.KILLS_PER_FILE):
        seed = SEED + kill // rounds.KILLS_PER_FILE
        print(f"seed {seed}: {make_config(seed)}")
        rounds.Rounds(tmp_path, seed, counts).run(rounds.KILLS_PER_FILE)
    print(dict(counts))
    assert counts["commits"] > counts["kills"] // 2, "the writers hardly wrote: raise MOST_STEPS"
    assert counts["in flight"] > counts["kills"] // 4, "hardly any kill met a commit"


def test_a_killed_creation_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    """P4: also, nothing lies around after the next compaction."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    there = until_landed(lambda number: rounds.creation_round(tmp_path, number, rng))
    print(f"files there after the kills: {there}")
    assert any(there), "no file was created before a kill"


def until_landed(one_round: Callable[[int], tuple[int, bool]], least: int = LANDED) -> list[int]:
    """Rounds until at least so many kills came amid an operation: the first result of each."""
    results: list[int] = []
    landed = 0
    while landed < least:
        assert len(results) < MOST_ROUNDS, f"{landed} of {MOST_ROUNDS} kills met an operation"
        result, met = one_round(len(results))
        results.append(result)
        landed += met
    return results


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    path = tmp_path / "filled.mvdb"
    with mvdb.open(path, dim=3, bits=4) as db:
        rounds.fill(db, rounds.sample_model(160))
    return path


def test_a_killed_compaction_changes_nothing(filled: Path) -> None:
    """P1, P3: in-place compaction is one rename, before or after the kill."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    model = rounds.sample_model(160)
    done = until_landed(lambda number: rounds.compaction_round(filled, model, rng, number))
    print(f"compactions finished before the kills: {done}")
    assert any(done), "no compaction was finished before a kill"
    with mvdb.open(filled) as db:
        db.compact()
    assert os.listdir(filled.parent) == [filled.name]


def test_a_killed_backup_is_whole_or_not_there(filled: Path) -> None:
    """P4 for copies; the source is not touched."""
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    model = rounds.sample_model(160)
    done = until_landed(lambda number: rounds.backup_round(filled, model, rng, number))
    print(f"copies there after the kills: {done}")
    assert any(done), "no copy was finished before a kill"


@pytest.mark.parametrize("background", [True, False], ids=["background", "optimize"])
@pytest.mark.parametrize("bits", [2, 16])
def test_killed_maintenance_loses_nothing(tmp_path: Path, background: bool, bits: int) -> None:
    """P1, P3: between and within the steps of merges and extensions. Unfinished segments are no
    orphans to `verify`, and the next `optimize` removes them."""
    rng = np.random.default_rng([SEED, bits])
    print(f"seed {SEED}")
    path = tmp_path / "maintained.mvdb"
    with mvdb.open(path, dim=3, bits=bits, background=False) as db:
        rounds.fill(db, rounds.sample_model(30))
    counts = [30]

    def one_round(number: int) -> tuple[int, bool]:
        count, was_cut = rounds.maintenance_round(path, counts[-1], rng, background=background)
        counts.append(count)
        return count, was_cut

    until_landed(one_round, CUT)
    print(f"documents: {counts}")
    assert counts[-1] > 60, "the writers hardly got to write"


def test_the_check_would_see_a_lost_document(tmp_path: Path) -> None:
    """The comparison itself: a missing document, a foreign text and foreign vectors are seen."""
    model = rounds.sample_model(20)
    with mvdb.open(tmp_path / "a.mvdb", dim=3, bits=8) as db:
        rounds.fill(db, model)
        check_content(db, model, 8)
        other = make_entry(7, 99, 3)
        for wrong in (
            {name: entry for name, entry in model.items() if name != 7},
            {**model, 21: model[0]},
            {**model, 7: other},
            {**model, 7: make_entry(8, 1, 3)},
        ):
            with pytest.raises(AssertionError):
                check_content(db, wrong, 8)
