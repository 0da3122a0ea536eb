"""No file makes the process crash: damage is an error of ours, or harmless to what is read.

Every round runs in a process of its own, so that a crash is seen as one. The number of rounds is
MVDB_DAMAGE_ROUNDS, the seed MVDB_SEED.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from processes import run

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage.environment import Environment
from mvdb.storage.lmdb import check_pages

ROUNDS = int(os.environ.get("MVDB_DAMAGE_ROUNDS", "300"))
SEED = int(os.environ.get("MVDB_SEED", "20"))

TOUR = """
    import random
    from pathlib import Path

    def tour():
        # Everything a user of this layer can reach: read all, write, read again.
        try:
            with Environment.open(path) as environment:
                with environment.read() as txn:
                    for table in ("meta", "centroids", "ids", "segments", "tombstones"):
                        txn.count(table)
                        for key, value in txn.iterate(table):
                            bytes(value)
                with environment.write() as txn:
                    for number in range(0, 300, 7):
                        txn.put("ids", b"%05d" % number, b"x" * 100)
                        txn.delete("segments", b"%05d" % number)
                with environment.read() as txn:
                    for key, value in txn.iterate("segments"):
                        bytes(value)
            return "fine"
        except (errors.CorruptionError, errors.FormatError) as error:
            assert str(path) in str(error), error
            return type(error).__name__

    def attempt(content):
        for name in (path, path + "-lock"):
            Path(name).unlink(missing_ok=True)
        Path(path).write_bytes(content)
        return tour()

    whole = Path(sys.argv[2]).read_bytes()
    rounds, seed = int(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    outcomes = {}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A closed file with deep tables, extents, free pages."""
    path = tmp_path / "source.mvdb"
    chance = random.Random(1)
    with Environment.open(path) as environment:
        for _ in range(5):
            with environment.write() as txn:
                for number in range(300):
                    txn.put("ids", b"%05d" % number, chance.randbytes(chance.randrange(300)))
                    if number % 10 == 0:
                        size = chance.choice([0, 100, 3000, 9000])
                        txn.put("segments", b"%05d" % number, chance.randbytes(size))
                    if chance.random() < 0.3:
                        txn.delete("ids", b"%05d" % chance.randrange(300))
    return path


def tour(script: str, path: str, source: Path, rounds: int = ROUNDS) -> str:
    print("seed", SEED)
    return run(TOUR + script, path, source, rounds, SEED, timeout=600)


def test_truncations(path: str, source: Path) -> None:
    out = tour(
        """
    for _ in range(rounds):
        length = chance.randrange(chance.choice([len(whole), 12_000, 40]))
        outcome = attempt(whole[:length])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    assert outcomes["CorruptionError"] > 0 < outcomes["FormatError"]
    print(attempt(whole))
        """,
        path,
        source,
    )
    assert out.endswith("fine")


def test_zeroed_random_and_swapped_pages(path: str, source: Path) -> None:
    tour(
        """
    pages = len(whole) // 4096
    for number in range(rounds):
        content = bytearray(whole)
        at = chance.randrange(pages) * 4096
        other = chance.randrange(pages) * 4096
        kind = number % 4
        if kind == 0:
            content[at:at + 4096] = bytes(4096)
        elif kind == 1:
            content[at:at + 4096] = chance.randbytes(4096)
        elif kind == 2:
            content[at:at + 4096] = whole[other:other + 4096]
        else:
            content[at + 16:at + 4096] = whole[other + 16:other + 4096]
        outcome = attempt(content)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    assert outcomes["CorruptionError"] > rounds // 10
        """,
        path,
        source,
    )


def test_flipped_bits_in_page_headers(path: str, source: Path) -> None:
    tour(
        """
    pages = len(whole) // 4096
    for number in range(rounds):
        content = bytearray(whole)
        # The first two pages and the beginning of each other: where structure is.
        at = chance.choice([chance.randrange(200), 4096 + chance.randrange(200),
                            chance.randrange(pages) * 4096 + chance.randrange(64)])
        content[at] ^= 1 << chance.randrange(8)
        outcome = attempt(content)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
        """,
        path,
        source,
    )


def test_random_bytes_after_a_good_beginning(path: str, source: Path) -> None:
    tour(
        """
    for number in range(rounds // 3):
        keep = chance.choice([16, 24, 152, 4096, 4096 + 152, 8192, 20_000])
        outcome = attempt(whole[:keep] + chance.randbytes(len(whole) - keep))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    assert "fine" not in outcomes
        """,
        path,
        source,
    )


def test_damaged_files_stay_as_they_are(path: str, source: Path) -> None:
    content = bytearray(source.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    Path(path).write_bytes(content)
    for _ in range(2):
        with pytest.raises(CorruptionError, match="damaged"):
            Environment.open(path)
    assert Path(path).read_bytes() == content
    assert not os.path.exists(path + "-lock")


def test_an_overwritten_first_page_is_damage_not_a_foreign_file(path: str, source: Path) -> None:
    Path(path).write_bytes(bytes(4096) + source.read_bytes()[4096:])
    with pytest.raises(CorruptionError, match="first page"):
        Environment.open(path)


def test_a_file_cut_inside_its_last_value(path: str) -> None:
    """Found while building: the verifier reads only the first page of an extent."""
    with Environment.open(path) as environment, environment.write() as txn:
        txn.put("segments", b"k", b"v" * 1_000_000)
    os.truncate(path, os.path.getsize(path) - 500_000)
    with pytest.raises(CorruptionError, match="truncated"):
        Environment.open(path)


def test_intact_files_that_look_damaged(path: str) -> None:
    """Found while building, both by random writes.

    A large value overwritten by a smaller one keeps its extent, which py-lmdb's verifier calls
    damage; and pages that ended up free at the end are never written, so that the file is shorter
    than its meta page counts.
    """
    chance = random.Random(3)
    short = 0
    for _ in range(60):
        with Environment.open(path) as environment:
            for _ in range(chance.randrange(1, 6)):
                with environment.write() as txn:
                    for _ in range(chance.randrange(1, 40)):
                        key = b"%d" % chance.randrange(20)
                        if chance.random() < 0.6:
                            size = chance.choice([10, 1000, 3000, chance.randrange(200_000)])
                            txn.put("segments", key, bytes(size))
                        else:
                            txn.delete("segments", key)
        os.utime(path)  # take the clean mark's truth away
        with open(path, "rb") as file:
            pages = max(
                int.from_bytes(file.read(8200)[at : at + 8], "little") for at in (136, 4232)
            )
        short += os.path.getsize(path) < (pages + 1) * 4096
        Environment.open(path, readonly=True).close()
        if chance.random() < 0.3:
            os.unlink(path)
    assert short, "no file was shorter than it says: the test misses its point"


def test_without_the_private_class_of_the_verifier(
    path: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_pages, "is_as_known", lambda: False)
    os.utime(source)
    Environment.open(source).close()
    content = source.read_bytes()
    Path(path).write_bytes(content[:8192] + bytes(len(content) - 8192))
    with pytest.raises(CorruptionError, match="damaged"):
        Environment.open(path)


def test_tables_of_another_kind(path: str) -> None:
    import lmdb

    from mvdb.storage.format import TABLES

    with lmdb.open(path, subdir=False, max_dbs=9, lock=False) as other:
        for name in TABLES:
            other.open_db(name.encode(), dupsort=True)
    with pytest.raises(FormatError, match="not of a kind"):
        Environment.open(path)
