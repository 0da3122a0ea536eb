"""``mvdb search``: what it finds and how it shows it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from conftest import ENCODER, CommandLine

import mvdb.cli
from mvdb import encoders


def test_the_best_comes_first(notes: CommandLine) -> None:
    hits = notes.search("n.mvdb", "blue sky")
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    first = hits[0]
    assert first["id"] == "notes/sky/sky.txt#1"
    assert first["score"] == pytest.approx(1)
    assert first["dense_score"] == pytest.approx(2, abs=0.1)
    assert first["lexical_score"] > 0
    assert first["metadata"]["path"] == "notes/sky/sky.txt"
    assert first["text"] == "The sky is blue."
    words = [first["text"][match["start"] : match["end"]] for match in first["matches"]]
    assert words == ["sky", "blue"]


def test_modes(notes: CommandLine) -> None:
    def sides(hits: list[Any]) -> list[tuple[bool, bool]]:
        return [(hit["dense_score"] is None, hit["lexical_score"] is None) for hit in hits]

    query = "the banana's skin"
    assert sides(notes.search("n.mvdb", query)) == [(False, False)] * 3
    assert sides(notes.search("n.mvdb", query, "--mode", "dense")) == [(False, True)] * 3
    (hit, *_) = notes.search("n.mvdb", query, "--lexical-weight", "1", "-k", "1")
    assert hit["id"] == "notes/code.py#1"
    words = notes.ok("search", "n.mvdb", "skin -sky", "--mode", "lexical", "--json").json["hits"]
    assert sides(words) == [(True, False)]
    (match,) = words[0]["matches"]
    assert words[0]["text"][match["start"] : match["end"]] == "skin"
    wrong = notes("search", "n.mvdb", query, *ENCODER, "--lexical-weight", "2")
    assert wrong.code == 1
    assert "lexical_weight" in wrong.err
    assert notes("search", "n.mvdb", query, "--mode", "both").code == 2


def test_without_an_encoder_words_are_searched(
    notes: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def default() -> None:
        raise ImportError("text encoding needs torch")

    monkeypatch.setattr(encoders, "default", default)
    file = str(notes.folder / "n.mvdb")
    assert mvdb.cli.main(["search", file, "bananas", "--json"]) == 0
    shown = capsys.readouterr()
    assert [hit["id"] for hit in json.loads(shown.out)["hits"]] == ["notes/fruit.md#1"]
    assert "by words alone" in shown.err
    assert "torch" in shown.err
    assert mvdb.cli.main(["search", file, "bananas", "-q"]) == 0
    assert capsys.readouterr().err == ""
    for mode in ("dense", "hybrid"):
        assert mvdb.cli.main(["search", file, "bananas", "--mode", mode]) == 1
        assert "torch" in capsys.readouterr().err
    with mvdb.open(file) as db:
        db.optimize(lexical=False)
    assert mvdb.cli.main(["search", file, "bananas"]) == 1
    assert "torch" in capsys.readouterr().err


def test_how_a_hit_is_shown(notes: CommandLine) -> None:
    shown = notes.ok("search", "n.mvdb", "yellow bananas", *ENCODER, "-k", "1").out
    assert re.fullmatch(
        r"1\.  \d\.\d\d  notes/fruit\.md:1  Fruit\n"
        r"   # Fruit\n\n   Apples are red\.\n\n   Bananas are yellow\.\n",
        shown,
    )


def test_places_are_shown_from_the_working_folder(notes: CommandLine) -> None:
    command = ("search", "../n.mvdb", "sky", *ENCODER, "-k", "1")
    assert "  sky/sky.txt:1\n" in notes.ok(*command, cwd=notes.folder / "notes").out
    elsewhere = notes.folder / "elsewhere"
    elsewhere.mkdir()
    assert f"  {notes.folder}/notes/sky/sky.txt:1\n" in notes.ok(*command, cwd=elsewhere).out


def test_documents_without_a_place_go_by_their_id(mvdb_cli: CommandLine) -> None:
    mvdb_cli.index("-", "n.mvdb", stdin='{"id": 5, "text": "words"}')
    assert mvdb_cli.ok("search", "n.mvdb", "words", *ENCODER).out.startswith("1.  1.00  5\n")


def test_number_filter_and_exact(notes: CommandLine) -> None:
    assert len(notes.search("n.mvdb", "sky", "-k", "2")) == 2
    by_path = '{"path": {"$in": ["notes/code.py", "nothing"]}}'
    assert [h["id"] for h in notes.search("n.mvdb", "sky", "--filter", by_path)] == [
        "notes/code.py#1"
    ]
    assert notes.search("n.mvdb", "sky", "--filter", '{"path": "nothing"}') == []
    assert notes.search("n.mvdb", "sky", "--exact") == notes.search("n.mvdb", "sky")


def test_nothing_found_is_said_beside_the_result(notes: CommandLine) -> None:
    outcome = notes("search", "n.mvdb", "sky", *ENCODER, "--filter", '{"no": 1}')
    said = "no document has the field 'no'\nnothing found\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, "", said)


@pytest.mark.parametrize(
    ("filter", "reason"),
    [
        ("{", "--filter: not JSON"),
        ("[]", "--filter: a JSON object is needed"),
        ('{"path": {"$near": 1}}', "$near"),
        ('{"$and": 1}', "$and"),
    ],
)
def test_bad_filters(notes: CommandLine, filter: str, reason: str) -> None:
    outcome = notes("search", "n.mvdb", "sky", *ENCODER, "--filter", filter)
    assert (outcome.code, outcome.out) == (1, "")
    assert reason in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        ("no_such_module:make", "No module named 'no_such_module'"),
        ("words_encoder:no_such_function", "no_such_function"),
        ("words_encoder:make_nothing", "no encoder"),
        ("onnx:no_such_folder", "no_such_folder: no such folder"),
    ],
)
def test_bad_encoders(notes: CommandLine, encoder: str, reason: str) -> None:
    outcome = notes("search", "n.mvdb", "sky", "--encoder", encoder)
    assert (outcome.code, outcome.out) == (1, "")
    assert reason in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_an_empty_query(notes: CommandLine) -> None:
    assert notes("search", "n.mvdb", " ", *ENCODER).code == 1


def test_stored_escape_sequences_are_not_printed(mvdb_cli: CommandLine) -> None:
    line = '{"id": "a\\u001b[2J", "text": "red \\u001b[31m alert"}'
    mvdb_cli.index("-", "n.mvdb", stdin=line)
    assert "\x1b" not in mvdb_cli.ok("search", "n.mvdb", "alert", *ENCODER).out


def test_pages_follow_each_other(notes: CommandLine) -> None:
    everything = notes.search("n.mvdb", "sky", "-k", "9")
    pages = [notes.search("n.mvdb", "sky", "-k", "1", "--offset", str(n)) for n in range(4)]
    assert [hit for page in pages for hit in page] == everything
    assert [hit["rank"] for page in pages for hit in page] == [1, 2, 3]


def test_one_passage_of_each_file(mvdb_cli: CommandLine) -> None:
    lines = [
        f'{{"id": {n}, "text": "sky {n}", "metadata": {{"path": "{n % 2}.md", "n": {n}}}}}'
        for n in range(6)
    ]
    mvdb_cli.index("-", "n.mvdb", stdin="\n".join(lines))
    hits = mvdb_cli.search("n.mvdb", "sky", "--group-by", "path")
    assert sorted(hit["metadata"]["path"] for hit in hits) == ["0.md", "1.md"]
    wrong = mvdb_cli("search", "n.mvdb", "sky", *ENCODER, "--group-by", "pathh")
    assert (wrong.code, wrong.out) == (1, "")
    assert "--group-by: no document has the field 'pathh'; did you mean path?" in wrong.err
    assert "pathh" in wrong.err
    diverse = mvdb_cli.search("n.mvdb", "sky", "--diversity", "1")
    assert {hit["id"] for hit in diverse} <= set(range(6))


def test_chosen_fields(notes: CommandLine) -> None:
    (hit,) = notes.search("n.mvdb", "sky", "-k", "1", "--fields", "metadata.path")
    assert (hit["text"], hit["metadata"]) == (None, {"path": "notes/sky/sky.txt"})
    shown = notes.ok("search", "n.mvdb", "sky", *ENCODER, "--fields", "metadata").out
    assert len(shown.splitlines()) == 3  # a line for each result
    wrong = notes("search", "n.mvdb", "sky", *ENCODER, "--fields", "path")
    assert wrong.code == 1
    assert "metadata.PATH" in wrong.err


def test_similar_passages(notes: CommandLine) -> None:
    first = notes.search("n.mvdb", "blue sky", "-k", "1")[0]["id"]
    answer = notes.ok("similar", "n.mvdb", first, "--json").json
    assert answer["id"] == first
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]
    assert first not in [hit["id"] for hit in answer["hits"]]
    second = notes.ok("similar", "n.mvdb", first, "--offset", "1", "--json").json["hits"]
    assert second == answer["hits"][1:]
    missing = notes("similar", "n.mvdb", "no such id")
    assert (missing.code, missing.out) == (1, "")
    assert "no such id" in missing.err
    assert notes("similar", "n.mvdb", "x", "--offset", "-1").code == 2
    number = notes("similar", "n.mvdb", "five", "--integer")
    assert number.code == 1
