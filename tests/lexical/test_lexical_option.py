"""`lexical=` of `mvdb.open` and `optimize`: what a file is made with, and how that is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb.lexical import tokeniser
from tests.helpers import DIM, content, fill, matrix


def word_bytes(db: mvdb.Database) -> int:
    parts = db.stats().bytes
    return parts["words"] + parts["word_directory"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


def test_new_files_index_words_unless_told_otherwise(tmp_path: Path) -> None:
    for name, lexical, indexed in (("a", None, True), ("b", True, True), ("c", False, False)):
        with mvdb.open(tmp_path / name, dim=DIM, lexical=lexical) as db:
            fill(db, 5)
            assert (word_bytes(db) > 0) == indexed
            assert db.verify().ok


def test_documents_without_texts_cost_nothing(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        db.insert(["a", "b"], [matrix(1), matrix(2)], metadata=[{"n": 1}, None])
        assert word_bytes(db) == 0
        assert db.search(text="n", mode="lexical") == []
        db.insert("c", matrix(3), texts="n")
        assert [hit.id for hit in db.search(text="n", mode="lexical")] == ["c"]
        db.optimize()
        assert [hit.id for hit in db.search(text="n", mode="lexical")] == ["c"]
        assert db.verify().ok


@pytest.mark.parametrize(
    ("made", "asked", "fits"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, True),
        (False, False, True),
        (False, True, False),
        ({"k1": 0.9}, True, True),
        ({"k1": 0.9}, {"k1": 0.9, "b": 0.75}, True),
        ({"k1": 0.9}, {"k1": 1.2}, False),
    ],
)
def test_a_file_is_checked_against_the_argument(
    path: Path, made: Any, asked: Any, fits: bool
) -> None:
    mvdb.open(path, dim=DIM, lexical=made).close()
    if fits:
        mvdb.open(path, lexical=asked).close()
        return
    with pytest.raises(mvdb.InvalidInputError, match=r"^lexical: .*optimize\(lexical="):
        mvdb.open(path, lexical=asked)


def test_optimize_makes_and_drops_the_index(path: Path) -> None:
    with mvdb.open(path, dim=DIM, lexical=False, background=False) as db:
        fill(db, 30)
        before = content(path)
        with pytest.raises(mvdb.InvalidInputError, match=r"optimize\(lexical=True\)"):
            db.search(text="text", mode="lexical")
        db.optimize(lexical=True)
        assert word_bytes(db) > 0
        assert len(db.search(text="text", k=50, mode="lexical")) == 30
        assert [hit.id for hit in db.search(text="17", mode="lexical")] == [17]
        db.optimize(lexical=False)
        assert word_bytes(db) == 0
        assert db.verify().ok
        assert content(path) == before
        db.optimize(lexical=True)
        db.optimize()
    with mvdb.open(path) as db:
        assert len(db.search(text="text", k=50, mode="lexical")) == 30


def test_parameters_of_scores_change_without_a_new_index(path: Path) -> None:
    with mvdb.open(path, dim=DIM, background=False) as db:
        texts = ["apple apple pear", "apple pear pear pear fig fig fig fig fig", "fig"]
        db.insert(["a", "b", "c"], [matrix(i) for i in range(3)], texts=texts)
        segments = {hit.id: hit.score for hit in db.search(text="apple", mode="lexical")}
        db.optimize(lexical={"k1": 0.0, "b": 0.0})
        flat = db.search(text="apple", mode="lexical")
        assert {hit.id for hit in flat} == segments.keys()
        assert flat[0].score == flat[1].score  # with k1 = 0 only the presence of a word counts
        assert segments["a"] > segments["b"]


def test_an_interrupted_change_goes_on(path: Path) -> None:
    """`optimize(lexical=True)` ends before its merges: searches by words say so, others go on, and
    new documents are indexed."""

    class Interrupted(Exception):
        pass

    def interrupt(step: str) -> None:
        raise Interrupted

    with mvdb.open(path, dim=DIM, lexical=False, background=False) as db:
        fill(db, 30)
        with pytest.raises(Interrupted):
            db.optimize(interrupt, lexical=True)
    with mvdb.open(path, background=False) as db:
        with pytest.raises(mvdb.InvalidInputError, match=r"not complete.*optimize\(\)"):
            db.search(text="text", mode="lexical")
        assert len(db.search(matrix(1), 3)) == 3
        fill(db, 5, first=100)
        assert db.verify().ok
        db.optimize()
        assert len(db.search(text="text", k=50, mode="lexical")) == 35
        assert db.verify().ok


def test_another_tokeniser_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another version of the tokeniser: vectors are searched, documents deleted and
    added without texts; words are refused until they are indexed anew."""
    with mvdb.open(path, dim=DIM, background=False) as db:
        fill(db, 20)
    monkeypatch.setattr(tokeniser, "VERSION", tokeniser.VERSION + 1)
    with mvdb.open(path, background=False) as db:
        for call in (
            lambda: db.search(text="text", mode="lexical"),
            lambda: db.insert("new", matrix(1), texts="words"),
        ):
            with pytest.raises(mvdb.InvalidInputError, match=r"tokeniser.*version 1.*optimize"):
                call()
        assert len(db.search(matrix(1), 3)) == 3
        db.insert("new", matrix(1))
        assert db.delete(list(range(15))) == 15
        db.optimize()
        assert db.verify().ok
        db.optimize(lexical=True)
        assert len(db.search(text="text", k=50, mode="lexical")) == 5
    monkeypatch.undo()
    with mvdb.open(path) as db, pytest.raises(mvdb.InvalidInputError, match="tokeniser"):
        db.search(text="text", mode="lexical")
