"""Readers of corpus, queries and judgements: the forms of BEIR and TREC, and their faults."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mvdb import evaluation
from mvdb.errors import InvalidInputError, PathError, PathNotFoundError
from mvdb.evaluation import text_lines

JSONL = '{"_id": "q1", "text": "red apples"}\n\n{"_id": "q 2", "text": " blue sky "}\n'
TABBED = "q1\tred apples\nq 2\tblue sky\n"
TOPICS = """
<top>
<num> Number: q1
<title> red
 apples
<desc> Description: What colour?
</top>
<TOP><NUM>7<TITLE>Topic: blue sky</TOP>
"""
BEIR = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td 2\t0\nq2\td1\t1\n"
TREC = "q1 0 d1 2\nq1 Q0\td2 -1\n\nq2 0 d1 1\n"


def file(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content", [JSONL, TABBED, "query-id\ttext\n" + TABBED, JSONL.replace("_id", "id")]
)
def test_forms_of_queries(tmp_path: Path, content: str) -> None:
    read = evaluation.read_queries(file(tmp_path, content))
    assert read == {"q1": "red apples", "q 2": "blue sky"}
    assert list(read) == ["q1", "q 2"]


def test_topics(tmp_path: Path) -> None:
    read = evaluation.read_queries(file(tmp_path, TOPICS))
    assert read == {"q1": "red apples", "7": "blue sky"}


def test_forms_of_judgements(tmp_path: Path) -> None:
    beir = evaluation.read_qrels(file(tmp_path, BEIR))
    assert beir == {"q1": {"d1": 2, "d 2": 0}, "q2": {"d1": 1}}
    assert evaluation.read_qrels(file(tmp_path, BEIR.partition("\n")[2])) == beir
    trec = evaluation.read_qrels(file(tmp_path, TREC.replace("Q0\t", "Q0 ")))
    assert trec == {"q1": {"d1": 2, "d2": -1}, "q2": {"d1": 1}}


def test_a_corpus(tmp_path: Path) -> None:
    content = '{"_id": "a", "title": "Fruit", "text": "red"}\n{"_id": 7, "text": "sky"}\n'
    assert list(evaluation.read_corpus(file(tmp_path, content))) == [
        ("a", "Fruit\nred"),
        ("7", "sky"),
    ]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    packed = gzip.compress if suffix == "gz" else zstandard.ZstdCompressor().compress
    path = file(tmp_path, packed(JSONL.encode()), f"q.jsonl.{suffix}")
    assert len(evaluation.read_queries(path)) == 2
    damaged = file(tmp_path, packed(JSONL.encode() * 50)[:-20], f"cut.{suffix}")
    with pytest.raises(InvalidInputError, match=f"cut.{suffix}"):
        evaluation.read_queries(damaged)
    with pytest.raises(InvalidInputError, match=f"plain.{suffix}: not what its suffix says"):
        evaluation.read_queries(file(tmp_path, JSONL, f"plain.{suffix}"))


def test_a_bomb_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "MAX_LINE", 1000)
    packed = zstandard.ZstdCompressor().compress(b"a" * 10_000)
    with pytest.raises(InvalidInputError, match="line 1: it has more than 1,000 bytes"):
        evaluation.read_queries(file(tmp_path, packed, "bomb.zst"))


def test_windows_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    content = ("\ufeff" + TABBED).replace("\n", "\r\n")
    assert list(evaluation.read_queries(file(tmp_path, content))) == ["q1", "q 2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no query in it"),
        ('{"_id": "a"}', 'line 1: not a JSON object {"_id", "text"}'),
        ('{"_id": "a", "text": "b"}\n[1]', "line 2: not a JSON object"),
        ('{"_id": "a", "text": "b"}\n{', "line 2: not JSON"),
        ('{"_id": "a", "text": "b"}\n{"_id": "a", "text": "c"}', "line 2: query 'a' was there"),
        ('{"text": "b"}', '"_id" must be a string'),
        ('{"_id": true, "text": "b"}', '"_id" must be a string'),
        ('{"_id": "a", "text": " "}', "line 1: query 'a' is blank"),
        ("a text", "an id, a tab and a text are needed"),
        ("a\tb\n\tc", "line 2: an id, a tab"),
        ("<top><num>1</top>", "topic 1 has no <num> or no <title>"),
        ("<html></html>", "no query in it"),
        (b"\xff\xfe\tb", "line 1: not UTF-8"),
    ],
)
def test_malformed_queries(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match="a.txt.*" + re.escape(message)):
        evaluation.read_queries(file(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no judgement in it"),
        ("query-id\tcorpus-id\tscore\n", "no judgement in it"),
        ("q\td\t1\nq\td", "line 2: query, document and grade are needed"),
        ("q\td\t1\nq\t\t1", "line 2: query, document and grade are needed"),
        ("q\td\t1\nq\te\tgood", "line 2: a grade is an integer, not 'good'"),
        ("q 0 d relevant", "line 1: a grade is an integer"),
        ("q\td\t1\nq\td\t2", "line 2: 'q' and 'd' had another grade"),
        (f"q\td\t{2**40}", "does not fit 32 bits"),
    ],
)
def test_malformed_judgements(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match="a.txt.*" + re.escape(message)):
        evaluation.read_qrels(file(tmp_path, content))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for read in (evaluation.read_queries, evaluation.read_qrels, evaluation.read_run):
        with pytest.raises(PathNotFoundError, match="absent"):
            read(tmp_path / "absent")
        with pytest.raises(PathError, match=re.escape(str(tmp_path))):
            read(tmp_path)


_WORD = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=8
).filter(lambda word: word.split() == [word])


@given(st.dictionaries(_WORD, st.dictionaries(_WORD, st.integers(-3, 9), min_size=1), min_size=1))
def test_judgements_of_both_forms_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, qrels: dict[str, dict[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("qrels")
    rows = [(q, d, grade) for q, grades in qrels.items() for d, grade in grades.items()]
    beir = "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in rows)
    trec = "".join(f"{q} 0 {d} {g}\n" for q, d, g in rows)
    for content in (beir, trec):
        assert evaluation.read_qrels(file(folder, content)) == qrels


@given(st.dictionaries(_WORD, _WORD, min_size=1))
def test_queries_of_json_lines_come_back(
    tmp_path_factory: pytest.TempPathFactory, queries: dict[str, str]
) -> None:
    content = "".join(json.dumps({"_id": q, "text": text}) + "\n" for q, text in queries.items())
    path = file(tmp_path_factory.mktemp("queries"), content)
    assert evaluation.read_queries(path) == queries
