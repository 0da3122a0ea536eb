"""Runs: those of a database, and files of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mvdb
from mvdb import evaluation
from mvdb.errors import InvalidInputError, PathError
from tests.helpers import matrix

DIM = 16


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, bits=8) as db:
        db.insert(
            [f"d{number}" for number in range(60)],
            [matrix(number, 4, DIM) for number in range(60)],
            texts=["common" if number != 7 else "common rare" for number in range(60)],
        )
        yield db


def test_the_run_of_a_database_is_its_hits(db: mvdb.Database) -> None:
    queries = {f"q{number}": matrix(number, 3, DIM) for number in range(150)}
    seen: list[tuple[int, int]] = []
    run = evaluation.search_run(
        db, queries, 7, progress=lambda done, total: seen.append((done, total)), exact=True
    )
    assert list(run) == list(queries)
    for name, query in queries.items():
        hits = db.search(query, 7, exact=True)
        assert list(run[name].items()) == [(hit.id, hit.score) for hit in hits]
    assert seen[-1] == (150, 150)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_words_are_queries_too(db: mvdb.Database) -> None:
    run = evaluation.search_run(db, {"a": "rare", "b": "nothing of it"}, mode="lexical")
    assert list(run["a"]) == ["d7"]
    assert run["b"] == {}
    assert len(evaluation.search_run(db, {"a": "common"}, mode="lexical")["a"]) == 60


def test_integers_are_shown_as_strings(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        db.insert([1, 20], [matrix(1, 3, DIM), matrix(2, 3, DIM)])
        run = evaluation.search_run(db, {"q": matrix(1, 3, DIM)})
        assert list(run["q"]) == ["1", "20"]
        db.insert("20", matrix(3, 3, DIM))
        with pytest.raises(InvalidInputError, match="documents 20 and '20'"):
            evaluation.search_run(db, {"q": matrix(1, 3, DIM)})


_WORD = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=8
).filter(lambda word: word.split() == [word])
_SCORES = st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(_WORD, st.dictionaries(_WORD, _SCORES, min_size=1), min_size=1))
def test_a_written_run_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, dict[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "run.txt"
    evaluation.write_run(path, run)
    read = evaluation.read_run(path)
    assert read == run
    for found in read.values():
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_form_of_trec(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    evaluation.write_run(
        path, {"q": {"b": 1.5, "a": 2.0}, "r": {"a": np.float32(0.5).item()}}, "me"
    )
    assert path.read_text() == "q Q0 a 1 2.0 me\nq Q0 b 2 1.5 me\nr Q0 a 1 0.5 me\n"


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """`--run-out /dev/stdout` writes to it; a link goes on leading to its file."""
    null = Path(os.devnull)
    evaluation.write_run(null, {"q": {"a": 1.0}})
    assert null.is_char_device()
    (tmp_path / "run.txt").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "run.txt")
    evaluation.write_run(tmp_path / "link", {"q": {"a": 1.0}})
    assert (tmp_path / "link").is_symlink()
    assert evaluation.read_run(tmp_path / "run.txt") == {"q": {"a": 1.0}}


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"q": {"a b": 1.0}}, "document 'a b'"),
        ({"q": {"": 1.0}}, "document ''"),
        ({"q\t": {"a": 1.0}}, "query"),
        ({"q": {"a": float("nan")}}, "document 'a': score nan"),
    ],
)
def test_what_no_run_can_hold(
    tmp_path: Path, run: dict[str, dict[str, float]], message: str
) -> None:
    """Nothing is left behind, and a run that was there stays."""
    path = tmp_path / "run.txt"
    path.write_text("before")
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        evaluation.write_run(path, {"fine": {"a": 1.0}, **run})
    assert [one.name for one in tmp_path.iterdir()] == ["run.txt"]
    assert path.read_text() == "before"
    with pytest.raises(InvalidInputError, match="tag 'a b'"):
        evaluation.write_run(path, {}, "a b")
    with pytest.raises(PathError, match="absent"):
        evaluation.write_run(tmp_path / "absent" / "run.txt", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no line of a run in it"),
        ("q Q0 d 1 2.0 tag\nq d 1", "line 2: not query, Q0, document"),
        ("q Q0 d 1 high tag", "line 1: a score is a finite number, not 'high'"),
        ("q Q0 d 1 nan tag", "a score is a finite number"),
        ("q Q0 d 1 2 tag\nq Q0 d 2 1 tag", "line 2: query 'q' has the document 'd' twice"),
    ],
)
def test_malformed_runs(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.txt"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match="run.txt.*" + re.escape(message)):
        evaluation.read_run(path)
