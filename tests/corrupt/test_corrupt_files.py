"""P5 and P6: damaged and hostile files are refused, or answer as intact ones do.

Long-lived worker processes open each file, verify it, and ask everything: all documents, all
vectors, searches of every kind. A damaged file may give an error of mvdb or exactly the answers of
the intact one (the damage hit a free page), never another answer, another exception, a crash, a
hang (20 s), or memory beyond a bound. The long form is ``python -m tests.corrupt.run``.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

import mvdb
from mvdb.storage import cleanmark
from tests.corrupt import bombs, examine, pool, run, specimens
from tests.corrupt.damage import PAGE
from tests.corrupt.pool import Case, Examiner

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the workers need POSIX limits")

SEED = int(os.environ.get("MVDB_SEED", "4000"))
WORKERS = os.cpu_count() or 1
COUNTS = {"flip": 1000, "truncate": 1000, "pages": 300, "stale": 200, "mutate": 250}
HARMLESS = ("flip", "pages")
"""Damage of which some hits free pages, and changes no answer."""

PLAUSIBLE = {
    "centroids: negative b scale",
    "centroids: huge scale",
    "fields: 0 at 24",
}
"""Bombs whose lie nothing contradicts: they are answered (within the same bounds)."""


@pytest.fixture(scope="module")
def examiner(tmp_path_factory: pytest.TempPathFactory) -> Examiner:
    return run.prepare(tmp_path_factory.mktemp("corrupt"))


@pytest.mark.parametrize("kind", COUNTS)
def test_damage_is_refused_or_harmless(examiner: Examiner, kind: str) -> None:
    """P5: single bits, cut ends, lost, exchanged and stale pages. P6: `mutate`, content with
    checksums made to fit."""
    print(f"seed {SEED}")
    outcome = pool.run(examiner, run.cases(kind, COUNTS[kind], SEED), WORKERS)
    print(run.show(outcome, 0))
    assert not outcome.bad, "repeat with: python -m tests.corrupt.run --case SPECIMEN,KIND,SEED"
    for name in specimens.NAMES:
        refused = outcome.counts[f"{name}, {kind}: refused"]
        harmless = sum(outcome.counts[f"{name}, {kind}: {what}"] for what in ("same", "answered"))
        assert refused > harmless // 3, f"the damage hits nothing of {name}"
        assert harmless > 0 or kind not in HARMLESS, f"even harmless damage to {name} is refused"


def test_bombs_are_refused_within_bounded_memory(examiner: Examiner) -> None:
    """P6: hostile sizes under valid checksums, each refused without believing it."""
    names = list(bombs.by_hand())
    cases = [Case("trained", "bomb", i) for i in range(len(names))]
    outcome = pool.run(examiner, cases, WORKERS)
    print(run.show(outcome, 0))
    assert not outcome.bad, [(names[case.seed], what) for case, what in outcome.bad]
    assert {names[case.seed] for case in outcome.answered} <= PLAUSIBLE
    assert outcome.counts["trained, bomb: refused"] >= len(cases) - len(PLAUSIBLE)


def _transaction_bits() -> list[tuple[int, int]]:
    """(offset, bit) of the transaction numbers in both meta pages."""
    return [(page * PAGE + 144 + i // 8, i % 8) for page in (0, 1) for i in range(64)]


def test_a_flipped_transaction_number_does_not_bring_back_an_old_state(
    examiner: Examiner, tmp_path: Path
) -> None:
    """P5. LMDB takes the meta page with the higher transaction number; one bit of it, and the state
    before the last commit was the newest. Now the two numbers must follow each other. (In some
    states one of these 128 bits makes another plausible pair; that cannot be told from a crash
    before the last commit.)"""
    intact = examiner._specimens["trained"].intact
    ids = list(examiner._plans["trained"].ids)
    path = tmp_path / "flipped.mvdb"
    silent = []
    for at, bit in _transaction_bits():
        data = bytearray(intact)
        data[at] ^= 1 << bit
        path.write_bytes(data)
        try:
            with mvdb.open(path, readonly=True) as db:
                document = db.get(5)[0]
                if list(db.ids()) != ids or document is None or document.text != "again":
                    silent.append((at, bit))
        except mvdb.Error:
            pass
    numbers = [struct.unpack_from("<Q", intact, page * PAGE + 144)[0] for page in (0, 1)]
    assert not silent, f"{len(silent)} of 128 bits bring back an old state; numbers {numbers}"


@pytest.mark.xfail(strict=True, reason="a clean mark vouches for structure, not for the medium")
def test_a_key_that_rots_under_a_clean_mark_is_noticed(examiner: Examiner, tmp_path: Path) -> None:
    """P5, open: a file with a clean mark is not walked when it is opened. A bit that the medium
    loses in a key of the table of ids makes that document invisible to `get` and `in` (searches
    find it, `verify` sees it); one in a page number can kill the process (3 of 3,000: see
    ``python -m tests.corrupt.run --rot 3000``)."""
    path = tmp_path / "rotten.mvdb"
    data = bytearray(examiner._specimens["trained"].intact)
    key = b"\x02schl\xc3\xbcssel 2 5"
    at = -1
    while (at := data.find(key, at + 1)) >= 0:
        if data[at + len(key) : at + len(key) + 2] == b"\x01\x04":  # the envelope of an id
            data[at + len(key) - 1] ^= 0x40
    path.write_bytes(data)
    with open(path, "rb") as file:
        assert cleanmark.mark(file.fileno())
    try:
        with mvdb.open(path) as db:
            assert "schlüssel 2 5" in db
    except mvdb.Error:
        pass


def test_the_examination_would_see_a_silent_change(examiner: Examiner) -> None:
    """The comparison itself: one answer that differs is called so."""
    expected = examiner._expected["trained"]
    assert examine.judge(dict(expected), expected) == "same"
    question = next(name for name in expected if name.startswith("vectors"))
    assert examine.judge({**expected, question: "0"}, expected).startswith("SILENT")
    refused = {**expected, question: f"{examine.ERROR}CorruptionError"}
    assert examine.judge(refused, expected) == "refused"
    foreign = {**expected, question: f"{examine.FOREIGN}IndexError"}
    assert examine.FOREIGN in examine.judge(foreign, expected)
