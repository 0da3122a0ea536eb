"""Texts and metadata of many documents. `get` and each hit unpacked a block for every document of
it: thousands of hits took as many blocks."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.documents import texts
from mvdb.limits import Limits
from tests.support.opening import opened

DIM, N = 8, 3000
QUERY = np.random.default_rng(0).standard_normal((4, DIM))


def text_of(name: int, version: int = 0) -> str:
    return f"{name} in version {version} " + "word " * (name % 40)


def put(db: mvdb.Database | mvdb.Transaction, names: range | list[int], version: int = 0) -> None:
    rng = np.random.default_rng(version)
    db.upsert(
        list(names),
        (rng.standard_normal((2 * len(names), DIM)), [2] * len(names)),
        texts=[text_of(name, version) for name in names],
        metadata=[{"n": name, "version": version} for name in names],
    )


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        put(db, range(N // 2))
        put(db, range(N // 2, N))
        yield db


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Documents of each block that was unpacked."""
    found: list[int] = []
    original = texts.unpack

    def unpack(block: memoryview, n_documents: int, where: str) -> Sequence[texts.Stored]:
        found.append(n_documents)
        return original(block, n_documents, where)

    monkeypatch.setattr(texts, "unpack", unpack)
    return found


def blocks(db: mvdb.Database) -> int:
    with db._reading() as (_, state):
        return sum(len(segment.directory.blocks) - 1 for segment in state.segments)


def test_get_unpacks_each_block_once(db: mvdb.Database, unpacked: list[int]) -> None:
    names = random.Random(1).choices(range(-100, N), k=5000)
    found = db.get(names)
    assert len(unpacked) == blocks(db) > 5
    for name, document in zip(names, found, strict=True):
        if name < 0:
            assert document is None
            continue
        assert document is not None
        assert (document.id, document.text, document.n_tokens) == (name, text_of(name), 2)
        assert document.metadata == {"n": name, "version": 0}
    unpacked.clear()
    assert db.get(7)[0] is not None
    assert len(unpacked) == 1


@pytest.mark.parametrize("order", ["first to last", "last to first", "random"])
def test_hits_unpack_each_block_a_few_times(
    db: mvdb.Database, unpacked: list[int], order: str
) -> None:
    hits = db.search(QUERY, N, exact=True)
    assert len(hits) == N
    if order == "last to first":
        hits.reverse()
    if order == "random":
        random.Random(2).shuffle(hits)
    for hit in hits:
        assert isinstance(hit.id, int)
        assert hit.text == text_of(hit.id)
        assert hit.metadata == {"n": hit.id, "version": 0}
    assert len(unpacked) <= 6 * blocks(db)


def test_one_hit_of_many_reads_one_block(db: mvdb.Database, unpacked: list[int]) -> None:
    hits = db.search(QUERY, N, exact=True)
    assert hits[17].text == text_of(int(hits[17].id))
    assert len(unpacked) == 1


def test_what_was_read_ahead_is_not_given_out_when_the_document_is_gone(
    db: mvdb.Database,
) -> None:
    """A hit is None when its document was deleted or replaced before its first use, whatever other
    hits have been used before that."""
    hits = db.search(QUERY, 200, exact=True)
    for hit in hits[:20]:
        assert hit.text is not None
    names = [int(hit.id) for hit in hits]
    db.delete(names[20:50])
    put(db, names[50:80], version=1)
    db.optimize()
    for place, hit in enumerate(hits):
        expected = None if 20 <= place < 80 else text_of(names[place])
        assert hit.text == expected, place
        assert (hit.metadata is None) == (expected is None)


def test_hits_of_a_snapshot_keep_its_state_until_it_ends(db: mvdb.Database) -> None:
    with db.snapshot() as snapshot:
        hits = snapshot.search(QUERY, 100, exact=True)
        names = [int(hit.id) for hit in hits]
        assert hits[0].text
        assert hits[1].text
        db.delete(names[2:60])
        for hit, name in zip(hits[2:40], names[2:40], strict=True):
            assert hit.text == text_of(name)
    for hit in hits[40:60]:
        assert hit.text is None
    for hit, name in zip(hits[60:], names[60:], strict=True):
        assert hit.text == text_of(name)


def test_hits_of_a_transaction_that_was_rolled_back(db: mvdb.Database) -> None:
    """Their documents' numbers are given to others, also what was read of them ahead."""
    txn = db.transaction()
    put(txn, range(N, N + 60), version=2)
    hits = txn.search(QUERY, N + 60, exact=True)
    for hit in hits[:10]:
        assert hit.text is not None
    txn.rollback()
    put(db, range(5000, 5060), version=3)
    for hit in hits[10:]:
        name = int(hit.id)
        assert hit.text == (None if name >= N else text_of(name))


def test_what_is_kept_is_bounded(db: mvdb.Database) -> None:
    with opened(db.path, Limits(ahead_bytes=20_000), background=False) as frugal:
        hits = frugal.search(QUERY, N, exact=True)
        stored = hits[0]._fetch.func.__self__  # type: ignore[attr-defined]
        for hit in random.Random(3).sample(hits, N // 2):
            assert hit.text == text_of(int(hit.id))
            kept = sum(len(part or b"") for parts in stored._ahead.values() for part in parts)
            assert kept <= 20_000
        for hit in hits:
            assert hit.text == text_of(int(hit.id))


def test_a_damaged_block_is_told_to_its_own_hits(
    db: mvdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = texts.unpack

    def unpack(block: memoryview, n_documents: int, where: str) -> Sequence[texts.Stored]:
        found = original(block, n_documents, where)
        if any(text is not None and text.startswith(b"100 ") for text, _ in found):
            raise mvdb.CorruptionError(f"{where}: damaged")
        return found

    monkeypatch.setattr(texts, "unpack", unpack)
    hits = db.search(QUERY, N, exact=True)
    damaged = 0
    for hit in hits:
        try:
            assert hit.text == text_of(int(hit.id))
        except mvdb.CorruptionError:
            damaged += 1
    assert 0 < damaged < N / 3
    with pytest.raises(mvdb.CorruptionError):
        _ = next(hit for hit in hits if hit.id == 100).text


def test_threads_share_the_hits_of_one_result(db: mvdb.Database) -> None:
    hits = db.search(QUERY, N, exact=True)
    wrong: list[object] = []

    def read(seed: int) -> None:
        try:
            for hit in random.Random(seed).sample(hits, N):
                if hit.text != text_of(int(hit.id)):
                    wrong.append(hit)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
