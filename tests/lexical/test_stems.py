"""`lexical="english"`: words by their stems, phrases by the words themselves, and files on machines
without the stemmer."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mvdb
from tests.helpers import DIM, fill, matrix


class Stemmer:
    """Cuts common endings."""

    def __init__(self, language: str, size: int) -> None:
        assert language == "english"

    def stemWords(self, words: list[str]) -> list[str]:
        """As that of PyStemmer."""
        return [word.removesuffix("s").removesuffix("ed").removesuffix("ing") for word in words]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of PyStemmer."""
    stand_in: Any = SimpleNamespace(Stemmer=Stemmer, algorithms=lambda: ["english"])
    monkeypatch.setitem(sys.modules, "Stemmer", stand_in)


@pytest.fixture
def path(tmp_path: Path, library: None) -> Path:
    """A file with stems, of two segments."""
    path = tmp_path / "a.mvdb"
    own = ["she painted houses", "he paints a house", "painting house", "E1234s", "nothing"]
    with mvdb.open(path, dim=DIM, lexical="english", background=False) as db:
        for i, text in enumerate(own):
            db.insert(i, matrix(i), texts=text)
    return path


def found(db: mvdb.Database, text: str) -> set[Any]:
    return {hit.id for hit in db.search(text=text, mode="lexical")}


def test_words_are_found_by_their_stems(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        for _ in range(2):
            assert found(db, "paint") == found(db, "PAINTING") == {0, 1, 2}
            assert found(db, "+houses +painted -she") == {1, 2}
            assert found(db, "E1234s") == {3}
            assert found(db, "E1234") == set()  # an identifier is no word
            assert found(db, "pain*") == {0, 1, 2}
            db.optimize()
        assert db.verify().ok


def test_phrases_are_of_words_as_they_are(path: Path) -> None:
    with mvdb.open(path) as db:
        assert found(db, '"painted houses"') == {0}
        assert found(db, '"painting house"') == {2}
        assert found(db, '"paint house"') == set()
        assert found(db, '"painted"') == {0}
        assert found(db, 'paint -"painting house"') == {0, 1}


def test_without_the_library_vectors_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with mvdb.open(path, background=False) as db:
        for call in (
            lambda: db.search(text="paint"),
            lambda: db.insert("new", matrix(1), texts="words"),
            lambda: db.optimize(lexical="english"),
        ):
            with pytest.raises(mvdb.InvalidInputError, match=r"PyStemmer.*mvdb-engine\[stem\]"):
                call()
        assert len(db.search(matrix(1), 3)) == 3
        db.insert("new", matrix(1))
        assert db.delete([0]) == 1
        db.optimize()  # term indexes are merged without it
        assert db.verify().ok
    with pytest.raises(mvdb.InvalidInputError, match="PyStemmer"):
        mvdb.open(path.with_name("b.mvdb"), dim=DIM, lexical="english")
    monkeypatch.undo()


def test_merges_without_the_library_keep_the_stems(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "Stemmer", None)
        with mvdb.open(path, background=False) as db:
            db.optimize()
            assert db.stats().segments == 1
    with mvdb.open(path, background=False) as db:
        assert found(db, "paints") == {0, 1, 2}


def test_repair_keeps_stems_or_leaves_them_to_optimize(path: Path, tmp_path: Path) -> None:
    mvdb.repair(path, tmp_path / "b.mvdb")
    with mvdb.open(tmp_path / "b.mvdb", lexical="english") as db:
        assert found(db, "paints") == {0, 1, 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "Stemmer", None)
        mvdb.repair(path, tmp_path / "c.mvdb")
    with mvdb.open(tmp_path / "c.mvdb", background=False) as db:
        assert db.verify().ok
        with pytest.raises(mvdb.InvalidInputError, match=r"not complete.*optimize\(\)"):
            db.search(text="paint", mode="lexical")
        db.optimize()
        assert found(db, "paints") == {0, 1, 2}
        assert db.verify().ok


def test_a_stemmed_file_becomes_a_plain_one(path: Path) -> None:
    with mvdb.open(path, background=False) as db:
        db.optimize(lexical=True)
        assert found(db, "paint") == set()
        assert found(db, "painted") == {0}
        fill(db, 3, first=100)
        assert db.verify().ok
