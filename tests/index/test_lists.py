"""Inverted lists: what is written is what is found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.prefetch import Prefetcher
from mvdb.segment.posting_lists import Builder, Lists
from tests.index.files import (
    DIM,
    LISTED,
    codes_of,
    fill,
    listed,
    open_state,
    ordered,
)
from tests.support import posting_lists
from tests.support.opening import opened


class InMemory:
    """Extents that are not in a file."""

    def __init__(self, extents: list[bytes]) -> None:
        self.bodies = [memoryview(extent) for extent in extents]

    def open(self, indexes: NDArray[np.integer]) -> None:
        """They are."""


def read(lists: Lists) -> list[list[int]]:
    """The slots in each list, verified."""
    lists.check_all()
    blocks = lists._blocks
    return posting_lists.read(
        [bytes(body) for body in lists._extents.bodies],
        blocks._starts.tolist(),
        blocks._extent_blocks.tolist(),
        lists.view.n_lists,
    )


def test_lists_of_a_file_are_those_of_a_dict(tmp_path: Path) -> None:
    """Every list of every segment, written with and without steps, against the codes themselves,
    where no centroids are added (tests/index/test_extending.py)."""
    path = tmp_path / "a.mvdb"
    limits = replace(LISTED, growth=math.inf, newcomers_per_centroid=math.inf)
    with opened(path, limits, dim=DIM, bits=2, background=False) as db:
        fill(db, 400)
        fill(db, 300, first=400)
        db.delete(range(50))
        assert listed(db) == [True, True]
        assert all(ordered(db))
    with opened(path, limits, background=False) as db:
        for turn in range(2):
            txn, state = open_state(db)
            with txn:
                for index in range(len(state.segments)):
                    lists = state.segments[index].open_vectors(txn).lists
                    assert lists is not None
                    assert lists.n_extents > 1
                    expected: list[list[int]] = [[] for _ in range(lists.view.n_lists)]
                    for slot, codes in enumerate(codes_of(txn, state, index)):
                        for code in codes:
                            expected[code].append(slot)
                    assert read(lists) == expected
            if turn == 0:
                db.optimize()
        assert listed(db) == [True]


@pytest.mark.parametrize("memory", [1, 1 << 30])
@pytest.mark.parametrize("code_bytes", [2, 3])
@pytest.mark.parametrize("n_lists", [1, core.LISTS_BLOCK, 3 * core.LISTS_BLOCK + 1, 70_000])
def test_lists_round_trip_without_a_file(code_bytes: int, n_lists: int, memory: int) -> None:
    """Empty lists, full ones, documents without tokens, codes of every width, in one pass and in
    as many as there are blocks."""
    n_lists = min(n_lists, 1 << 8 * code_bytes)
    rng = np.random.default_rng([code_bytes, n_lists])
    lengths = rng.integers(0, 6, 300)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint32)
    codes = rng.integers(0, n_lists, starts[-1])
    codes[::3] = n_lists - 1  # a full list
    packed = np.zeros((len(codes), code_bytes), np.uint8)
    for byte in range(code_bytes):
        packed[:, byte] = codes >> 8 * byte & 255
    builder = Builder(
        packed.reshape(-1), code_bytes, starts, n_lists, memory=memory, extent_bytes=1 << 20
    )
    extents = list(builder.extents())
    lists = Lists(memoryview(builder.directory()), lambda n: InMemory(extents[:n]), "here")
    assert lists.n_extents == len(extents)
    lists.check_all()
    counts = core.count_lists(packed.reshape(-1), code_bytes, starts, n_lists)
    members: dict[int, set[int]] = {}
    for document in range(len(lengths)):
        for code in codes[starts[document] : starts[document + 1]].tolist():
            members.setdefault(code, set()).add(document)
    assert counts.tolist() == [len(members.get(i, ())) for i in range(n_lists)]
    assert read(lists) == [sorted(members.get(i, ())) for i in range(n_lists)]
    some = np.array(sorted(members), np.uint32)
    blocks = lists.blocks(some)
    assert set(blocks.tolist()) == {code // core.LISTS_BLOCK for code in members}
    assert len(lists.unread(blocks)) == 0


def test_a_prefetch_of_all_lists_reads_their_bytes(tmp_path: Path) -> None:
    """`reads` and bytes are those of whole pages around the blocks; nothing is asked for twice."""
    with opened(tmp_path / "a.mvdb", LISTED, dim=DIM, background=False) as db:
        fill(db, 400)
        txn, state = open_state(db)
        with txn:
            lists = state.segments[0].open_vectors(txn).lists
            assert lists is not None
            blocks = lists.blocks(np.arange(lists.view.n_lists, dtype=np.uint32))
            for mode in ("hint", "read"):
                fetches = Prefetcher(mode).query()
                fetches.lists(lists, blocks)
                assert fetches.reads >= 1
                assert fetches.bytes % 4096 == 0
            lists.check_all()
            again = Prefetcher("hint").query()
            again.lists(lists, blocks)
            assert (again.reads, again.bytes) == (0, 0)
