"""`Hit.highlights`: the words of a query in the text of a hit."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.helpers import DIM, FakeEncoder, matrix

NOTES = {
    "a": "Error E1279: the Frame is too large",
    "b": "a frame of wood, and frames of steel",
    "c": "nothing of the kind",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with mvdb.open(tmp_path / "a.mvdb", encoder=FakeEncoder(), background=False) as db:
        db.insert(list(NOTES), texts=list(NOTES.values()))
        db.insert(["bare"], [matrix(4)])
    return tmp_path / "a.mvdb"


def marked(hits: list[mvdb.Hit]) -> dict[Any, list[str]]:
    return {hit.id: [(hit.text or "")[a:b] for a, b, _ in hit.highlights] for hit in hits}


def test_every_mode_that_has_words(path: Path) -> None:
    expected = {"a": ["E1279", "Frame"], "b": ["frame"], "c": [], "bare": []}
    text = "frame e1279"
    with mvdb.open(path, encoder=FakeEncoder()) as db:
        assert marked(db.search(text)) == expected
        assert marked(db.search(text, mode="dense")) == expected
        assert marked(db.search(matrix(1), text=text)) == expected
        assert marked(db.search_batch(["zzz", text])[1]) == expected
        assert marked(db.rerank(text, list(expected))) == expected
        lexical = {name: expected[name] for name in ("a", "b")}
        assert marked(db.search(text, mode="lexical")) == lexical
        assert not any(marked(db.search(matrix(1))).values())
        assert not any(marked(db.more_like("a")).values())


def test_weights_are_idf_and_phrases_one_range(path: Path) -> None:
    with mvdb.open(path, readonly=True) as db:
        (hit,) = db.search(text='"too large" frame')
        # Three documents have words; two have "frame", one "too" and "large".
        twice, once = math.log(1 + 1.5 / 2.5), math.log(1 + 2.5 / 1.5)
        text = NOTES["a"]
        frame, phrase = text.index("Frame"), text.index("too")
        assert hit.highlights == [
            (frame, frame + 5, pytest.approx(twice)),
            (phrase, len(text), pytest.approx(2 * once)),
        ]
        prefixed = db.search(text="fram* -e1279")
        assert marked(prefixed) == {"b": ["frame", "frames"]}


def test_they_are_read_as_late_as_the_text(path: Path) -> None:
    with mvdb.open(path) as db:
        kept, gone = db.search(text="frame", k=2)
        db.delete(gone.id)
        assert gone.highlights == []
        assert kept.highlights
        with db.transaction() as txn:
            txn.upsert("n", matrix(3), texts="frame in a transaction")
            (own,) = txn.search(text="frame", ids="n")
            assert [one[:2] for one in own.highlights] == [(0, 5)]
        for fields, expected in (("text", True), ("metadata", False), ((), False)):
            (hit,) = db.search(text="frame", ids="n", fields=fields)
            assert bool(hit.highlights) is expected
        hit = db.search(text="frame", ids="n")[0]
        copies = [pickle.loads(pickle.dumps(hit)), copy.copy(hit)]
        db.optimize(lexical=False)
        (without,) = db.search(matrix(3), ids="n")
        assert without.highlights == []
    for one in copies:
        assert one.highlights == hit.highlights
        assert one.to_dict()["highlights"] == [list(mark) for mark in hit.highlights]


def test_asyncio_reads_them_at_once(path: Path) -> None:
    async def found() -> list[mvdb.Hit]:
        async with await mvdb.aio.open(path, readonly=True) as db:
            return await db.search(text="frame")

    assert marked(asyncio.run(found())) == {"a": ["Frame"], "b": ["frame"]}


def test_a_file_without_words(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", encoder=FakeEncoder(), lexical=False, dim=DIM) as db:
        db.insert(["a"], texts=["fig"])
        assert db.search("fig")[0].highlights == []
