"""JSON lines in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ENCODER, CommandLine

from mvdb.cli import main


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


LONE = "a string with a lone surrogate"
DEEP = '{"a": ' * 70 + "1" + "}" * 70
FAULTS = [
    ("{", "not JSON (Expecting property name"),
    ('["text"]', "a JSON object is needed"),
    ('{"id": "x"}', "'text': a string that is not blank is needed"),
    ('{"id": "x", "text": " "}', "'text': a string that is not blank is needed"),
    ('{"id": "x", "text": null}', "'text': a string that is not blank is needed"),
    ('{"id": "x", "text": 3}', "'text': a string that is not blank is needed"),
    ('{"id": "x", "text": "x", "metadata": []}', "'metadata': an object is needed"),
    ('{"text": "x", "id": true}', "'id': a string or an integer is needed"),
    ('{"text": "x", "id": 1.5}', "'id': a string or an integer is needed"),
    ('{"id": "", "text": "x"}', "an id must not be the empty string"),
    (f'{{"id": "{"x" * 600}", "text": "x"}}', "has 600 UTF-8 bytes; 1 to 500"),
    (f'{{"id": {2**63}, "text": "x"}}', "does not fit a signed 64-bit integer"),
    (f'{{"id": {"9" * 5000}, "text": "x"}}', "not JSON (Exceeds the limit"),
    ('{"id": "\\udc00", "text": "x"}', "not valid Unicode (lone surrogate)"),
    ('{"id": "x", "text": "\\udc00"}', f"'text': {LONE}"),
    ('{"id": "x", "text": "x", "metadata": {"a": ["\\udc00"]}}', f"metadata.a[0]: {LONE}"),
    ('{"id": "x", "text": "x", "b": {"c": "\\udc00"}}', f"metadata.b.c: {LONE}"),
    ('{"id": "x", "text": "x", "metadata": {"a": NaN}}', "not JSON (JSON has no NaN)"),
    ('{"id": "x", "text": "x", "metadata": {"a": 1e999}}', "metadata.a: JSON has no inf"),
    (f'{{"id": "x", "text": "x", "metadata": {DEEP}}}', "nested at most 64 deep"),
    (f'{{"id": "x", "text": "x", "metadata": {{"a": {2**3000}}}}}', "at most 2048 bits"),
    (f'{{"id": "x", "text": "x", "metadata": {{"a": "{"x" * (1 << 24)}"}}}}', "has at most 1677"),
    ("\udcff", "not UTF-8"),
    ("[" * 100_000, "nested too deep"),
]


@pytest.mark.parametrize(("line", "reason"), FAULTS, ids=range(len(FAULTS)))
def test_a_line_that_is_no_record_is_named(
    line: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By both commands that read JSON lines, in the same words, and nothing of it is stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    good = jsonl({"id": "good", "text": "good"})
    given = (good + "\n" + line + "\n").encode(errors="surrogateescape")
    (tmp_path / "a.jsonl").write_bytes(given)
    with (tmp_path / "a.jsonl").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["index", "-", "n.mvdb", *ENCODER]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("mvdb: error: standard input: line 3: ")
    assert reason in err
    said = err.partition(": line 3: ")[2]
    assert main(["import", "a.jsonl", "m.mvdb", *ENCODER]) == 1
    assert capsys.readouterr().err == f"mvdb: error: a.jsonl: line 3: {said}"
    assert not Path("m.mvdb").exists()


def test_the_fields_of_both_commands_are_the_same(mvdb_cli: CommandLine) -> None:
    records = [
        {"_id": "a", "text": "one", "lang": "de", "deep": {"n": [1, None]}},
        {"id": 7, "text": "two", "metadata": {"year": 2001}, "lang": "left out"},
        {"id": "c", "text": "three", "metadata": None, "vectors": [[1.0] * 64]},
    ]
    mvdb_cli.write("a.jsonl", "\ufeff" + jsonl(*records) + "\n\ufeff" + jsonl(records[0]))
    mvdb_cli.index("-", "n.mvdb", stdin=(mvdb_cli.folder / "a.jsonl").read_bytes())
    stored = {line["id"]: line["metadata"] or {} for line in mvdb_cli.export()}
    expected = {"a": {"lang": "de", "deep": {"n": [1, None]}}, 7: {"year": 2001}, "c": {}}
    assert stored == expected
    lines = jsonl(*({**one, "id": one.get("id", "a")} for one in records))
    mvdb_cli.write("b.jsonl", lines.replace('"_id": "a", ', ""))
    mvdb_cli.ok("import", "b.jsonl", "m.mvdb", "-q", *ENCODER)
    assert {line["id"]: line["metadata"] or {} for line in mvdb_cli.export("m.mvdb")} == expected


def test_documents_of_tenants_are_not_mixed(mvdb_cli: CommandLine) -> None:
    line = {"id": "a", "text": "one", "metadata": None, "tenant": "acme"}
    outcome = mvdb_cli("index", "-", "n.mvdb", *ENCODER, stdin=jsonl(line))
    assert outcome.code == 1
    assert "line 1: 'tenant': mvdb import stores the documents of tenants" in outcome.err
