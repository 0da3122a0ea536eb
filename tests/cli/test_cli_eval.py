"""``mvdb eval``: runs and measures of judged queries."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest
from conftest import ENCODER, CommandLine

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ir_measures") is None, reason="ir_measures is not installed"
)

QUERIES = '{"_id": "q1", "text": "blue sky"}\n{"_id": "q2", "text": "bananas"}\n'
QUERIES += '{"_id": "q3", "text": "not judged"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\tnotes/sky/sky.txt#1\t1\nq2\tnotes/fruit.md#1\t1\n"
SEARCH = ("n.mvdb", "--queries", "q.jsonl", *ENCODER)


@pytest.fixture
def judged(notes: CommandLine) -> CommandLine:
    notes.write("q.jsonl", QUERIES)
    notes.write("qrels.tsv", QRELS)
    return notes


def measured(cli: CommandLine, *arguments: str) -> Any:
    return cli.ok("eval", *arguments, "--qrels", "qrels.tsv", "--json").json


def test_measures_of_a_database(judged: CommandLine) -> None:
    answer = measured(judged, *SEARCH, "--mode", "lexical", "--measures", "RR@10, R@1")
    (one,) = answer["runs"]
    assert answer["k"] == 1000
    assert (one["name"], one["queries"]) == ("n.mvdb", 2)
    assert one["measures"] == {"RR@10": 1.0, "R@1": 1.0}
    shown = judged.ok("eval", *SEARCH, "--qrels", "qrels.tsv", "--measures", "RR@10", "--by-query")
    assert [line.split()[0] for line in shown.out.splitlines()] == ["RR@10", "q1", "q2"]


def test_default_measures(judged: CommandLine) -> None:
    (one,) = measured(judged, *SEARCH, "-k", "100")["runs"]
    assert list(one["measures"]) == ["nDCG@10", "RR@10", "R@10", "R@100"]


def test_a_run_goes_out_and_comes_in(judged: CommandLine) -> None:
    first = measured(judged, *SEARCH, "--run-out", "run.txt", "--exact")["runs"][0]
    lines = (judged.folder / "run.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} == {"q1", "q2"}
    again = measured(judged, "--run-in", "run.txt")["runs"]
    assert [one["measures"] for one in again] == [first["measures"]]
    judged.write("other.txt", "q1 Q0 notes/sky/sky.txt#1 1 1.0 x\n")
    both = measured(judged, *SEARCH, "--run-in", "other.txt", "--measures", "R@10")["runs"]
    assert [one["measures"]["R@10"] for one in both] == [1.0, 0.5]
    table = judged.ok(
        "eval", *SEARCH, "--qrels", "qrels.tsv", "--run-in", "other.txt", "--measures", "R@10"
    )
    assert table.out.split() == [
        *("n.mvdb", "other.txt", "difference"),
        *("R@10", "1.0000", "0.5000", "+0.5000"),
    ]


def test_a_run_without_judgements_has_all_queries(judged: CommandLine) -> None:
    judged.ok("eval", *SEARCH, "--run-out", "run.txt", "-k", "2", "--quiet")
    lines = (judged.folder / "run.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["q1", "q1", "q2", "q2", "q3", "q3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to measure"),
        (("n.mvdb", "--qrels", "qrels.tsv"), "--queries is needed"),
        (("--queries", "q.jsonl", "--run-in", "x", "--qrels", "qrels.tsv"), "FILE"),
        (SEARCH, "--qrels is needed"),
        ((*SEARCH, "--run-out", "r", "--measures", "AP"), "need --qrels"),
        ((*SEARCH, "--qrels", "absent.tsv"), "absent.tsv: no such file"),
        ((*SEARCH, "--qrels", "q.jsonl"), "q.jsonl: line 1"),
        ((*SEARCH, "--qrels", "qrels.tsv", "--measures", "best"), "'best' is no measure"),
        ((*SEARCH, "--qrels", "qrels.tsv", "--measures", "R@50", "-k", "9"), "k is 9"),
        ((*SEARCH, "--qrels", "more.tsv"), "lacks: 1, such as 'q9'"),
        (("absent.mvdb", *SEARCH[1:], "--qrels", "qrels.tsv"), "absent.mvdb"),
        (("--run-in", "qrels.tsv", "--qrels", "qrels.tsv"), "qrels.tsv: line 1: not query, Q0"),
    ],
)
def test_one_line_says_what_is_wrong(
    judged: CommandLine, arguments: tuple[str, ...], message: str
) -> None:
    judged.write("more.tsv", QRELS + "q9\td\t1\n")
    outcome = judged("eval", *arguments)
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err


def test_json_is_one_object(judged: CommandLine) -> None:
    out = judged.ok("eval", *SEARCH, "--qrels", "qrels.tsv", "--json", "--by-query").out
    (one,) = json.loads(out)["runs"]
    assert set(one["by_query"]["R@10"]) == {"q1", "q2"}
