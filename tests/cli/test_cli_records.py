"""JSON lines in and out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import ENCODER, CommandLine


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_records_come_back_as_they_were(mvdb_cli: CommandLine) -> None:
    records = [
        {"id": -7, "text": "seven", "metadata": {"n": 1, "tags": ["a", None]}},
        {"id": "7", "text": "a string, and ünïcödé ☃\n\ttwo lines", "metadata": {}},
    ]
    summary = mvdb_cli.index("-", "n.mvdb", stdin=jsonl(*records))
    assert summary["passages"] == {"written": 2, "kept": 0, "deleted": 0, "duplicates": 0}
    assert mvdb_cli.export() == records
    copy = mvdb_cli.ok("export", "n.mvdb").out
    mvdb_cli.index("-", "m.mvdb", stdin=copy)
    assert mvdb_cli.ok("export", "m.mvdb").out == copy


def test_vectors_are_exported(mvdb_cli: CommandLine) -> None:
    mvdb_cli.index("-", "n.mvdb", "--bits", "16", stdin=jsonl({"id": 1, "text": "two words"}))
    (line,) = [json.loads(s) for s in mvdb_cli.ok("export", "n.mvdb", "--vectors").out.splitlines()]
    vectors = np.array(line["vectors"])
    assert vectors.shape == (2, 64)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)


def test_without_an_id_a_record_goes_by_its_text(mvdb_cli: CommandLine) -> None:
    stdin = jsonl({"text": "same"}, {"text": "same"}, {"text": "other"})
    assert mvdb_cli.index("-", "n.mvdb", stdin=stdin)["passages"]["written"] == 2
    assert mvdb_cli.index("-", "n.mvdb", stdin=stdin)["passages"]["kept"] == 2
    assert {line["text"] for line in mvdb_cli.export()} == {"same", "other"}


def test_changed_records_are_replaced(mvdb_cli: CommandLine) -> None:
    first = [{"id": n, "text": f"text {n}", "metadata": {"v": 1}} for n in range(3)]
    mvdb_cli.index("-", "n.mvdb", stdin=jsonl(*first))
    second = [first[0], {**first[1], "metadata": {"v": 2}}, {**first[2], "text": "new"}]
    summary = mvdb_cli.index("-", "n.mvdb", stdin=jsonl(*second))
    assert summary["passages"] == {"written": 2, "kept": 1, "deleted": 0, "duplicates": 0}
    assert mvdb_cli.export() == second


def test_of_one_id_the_last_record_counts(mvdb_cli: CommandLine) -> None:
    stdin = jsonl({"id": "a", "text": "old"}, {"id": "a", "text": "new"}, {"id": 1, "text": "x"})
    mvdb_cli.index("-", "n.mvdb", stdin=stdin)
    assert [(line["id"], line["text"]) for line in mvdb_cli.export()] == [(1, "x"), ("a", "new")]


@pytest.mark.parametrize("between", [0, 3, 127, 128, 300])
def test_repeated_ids_count_once_however_the_lines_fall_into_batches(
    mvdb_cli: CommandLine, between: int
) -> None:
    """Lines are stored 128 at a time: a repeated one counted once or twice, depending on where it
    stood."""
    others = [{"id": n, "text": f"text {n}"} for n in range(between)]
    stdin = jsonl({"id": "a", "text": "old"}, *others, {"id": "a", "text": "new"}, *others)
    summary = mvdb_cli.index("-", "n.mvdb", stdin=stdin)
    assert summary["passages"] == {"written": between + 1, "kept": 0, "deleted": 0, "duplicates": 0}
    assert mvdb_cli.export()[-1]["text"] == "new"
    stdin = jsonl(*others, {"id": "a", "text": "new"}, *others, {"id": "a", "text": "new"})
    summary = mvdb_cli.index("-", "n.mvdb", stdin=stdin)
    assert summary["passages"] == {"written": 0, "kept": between + 1, "deleted": 0, "duplicates": 0}
    stdin = jsonl({"id": "a", "text": "new"}, *others, {"id": "a", "text": "newer"})
    summary = mvdb_cli.index("-", "n.mvdb", stdin=stdin)
    assert summary["passages"] == {"written": 1, "kept": between, "deleted": 0, "duplicates": 0}


def test_files_and_records_in_one_command(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write("a/x.txt", "From a file.")
    stdin = "\n" + jsonl({"id": "r", "text": "From a record."}) + "  \n"
    summary = mvdb_cli.index("a", "-", "n.mvdb", stdin=stdin)
    assert (summary["files"]["indexed"], summary["passages"]["written"]) == (1, 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting property name"),
        ('["text"]', "not a JSON object"),
        ("{}", '"text" must be a string'),
        ('{"text": " "}', '"text" must be a string that is not blank'),
        ('{"text": "x", "metadata": []}', '"metadata" must be an object'),
        ('{"text": "x", "id": true}', '"id" must be a string or an integer'),
        ('{"text": "x", "id": 1.5}', '"id" must be a string or an integer'),
        ('{"text": "\\udc00"}', "surrogate"),
        ("\udcff", "utf-8"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_line_that_is_no_record_is_named(mvdb_cli: CommandLine, line: str, reason: str) -> None:
    good = jsonl({"id": "good", "text": "good"})
    stdin = (good + line + "\n").encode(errors="surrogateescape")
    outcome = mvdb_cli("index", "-", "n.mvdb", *ENCODER, stdin=stdin)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("mvdb: error: standard input: line 2: ")
    assert reason in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    "record",
    [{"id": "", "text": "x"}, {"id": 2**63, "text": "x"}, {"id": "x" * 501, "text": "x"}],
)
def test_ids_that_cannot_be_stored(mvdb_cli: CommandLine, record: Any) -> None:
    outcome = mvdb_cli("index", "-", "n.mvdb", *ENCODER, stdin=jsonl(record))
    assert (outcome.code, outcome.out) == (1, "")
    assert len(outcome.err.splitlines()) == 1
