"""A word that names nothing is answered with what may have been meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.cli import main

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Runs a command in a folder with the database `notes.mvdb`; exit code and standard error."""
    monkeypatch.chdir(tmp_path)
    with mvdb.open("notes.mvdb", dim=4) as db:
        db.insert(
            ["bread#1", "bread#2", "boat#1"],
            np.ones((3, 2, 4), np.float32),
            texts=["flour and salt", "water", "caulk"],
            metadata=[{"lang": "de", "author": {"name": "Ada"}}] * 3,
        )
        db.collection("mail", dim=4)
    (tmp_path / "readme.txt").write_text("no database")

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("serch", "notes.mvdb", "x"), 2, "no command 'serch'; did you mean search"),
        (("notes.mvdb", "search"), 2, "the command comes first (mvdb search notes.mvdb)"),
        (("xyzzy",), 2, "no command 'xyzzy' (see mvdb --help)"),
        (("help", "search"), 2, "help is an option: mvdb --help, mvdb COMMAND --help"),
        (("import", "notes.mvdb", "a.jsonl"), 1, "notes.mvdb is a database, which comes last"),
        (("count", "notes.mvdb", "--filter", "lang=de"), 1, "a JSON object is needed, as in '{"),
        (("count", "notes.mvdb", "--filter", "3"), 1, "a JSON object is needed, as in '{"),
        (("info", "zzzzzzzzzzzzzzzz"), 1, "no such database; there is notes.mvdb"),
        (("count", "notes.mvdb", "--colection", "x"), 2, "no option --colection; did you mean --c"),
        (("count", "notes.mvdb", "--filtr={}"), 2, "no option --filtr; did you mean --filter?"),
        (("info", "notes.mvdb", "more"), 2, "unexpected argument: more"),
        (("search", "notes.mvdb", "flour", "-zzz"), 2, "words that begin with - go behind --"),
        (("info", "note.mvdb"), 1, "note.mvdb: no such database; did you mean notes.mvdb?"),
        (("compact", "Notes.mvdb"), 1, "; did you mean notes.mvdb?"),
        (("repair", "note.mvdb", "new.mvdb"), 1, "; did you mean notes.mvdb?"),
        (("index", "readme.tx", "notes.mvdb"), 1, "; did you mean readme.txt?"),
        (("import", "readme.tx", "notes.mvdb"), 1, "; did you mean readme.txt?"),
        (("search", "flour", "notes.mvdb"), 1, "comes first: mvdb search notes.mvdb ..."),
        (("search", ".", "notes.mvdb"), 1, "comes first: mvdb search notes.mvdb ..."),
        (("search", "readme.txt", "in", "notes.mvdb"), 1, "first: mvdb search notes.mvdb ..."),
        (("facets", "lang", "notes.mvdb"), 1, "comes first: mvdb facets notes.mvdb ..."),
        (("count", "notes.mvdb", "--collection", "mial"), 1, "'mial'; did you mean mail?"),
        (("count", "notes.mvdb", "--collection", "zz"), 1, "'zz'; its collections: mail"),
        (("facets", "notes.mvdb", "langg"), 0, "did you mean lang?"),
        (("facets", "notes.mvdb", "author.nam"), 0, "author.name"),
        (("count", "notes.mvdb", "--filter", '{"lng": 1}'), 0, "'lng'; did you mean lang?"),
        (
            ("list", "notes.mvdb", "--filter", '{"$or": [{"$not": {"$not": {"lan": 1}}}]}'),
            0,
            "'lan'; did you mean lang?",
        ),
        (("list", "notes.mvdb", "--order-by", "lan"), 0, "'lan'; did you mean lang?"),
        (("similar", "notes.mvdb", "bread#3"), 1, "did you mean bread#2 or bread#1?"),
        (("similar", "notes.mvdb", "boat#1", "--group-by", "lan"), 1, "did you mean lang?"),
        (("show", "notes.mvdb", "boat"), 1, "did you mean boat#1?"),
        (("delete", "notes.mvdb", "boat"), 1, "did you mean boat#1?; nothing was deleted"),
    ],
)
def test_what_may_have_been_meant(
    said: Said, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found, error = said(*arguments)
    assert message in error
    assert found == code
    with mvdb.open("notes.mvdb", readonly=True) as db:
        assert len(db) == 3


def test_nothing_is_suggested_that_is_unlike(said: Said) -> None:
    assert "did you mean" not in said("info", "something/else")[1]
    assert "did you mean" not in said("info", "accounts-of-2024")[1]
    assert "did you mean" not in said("similar", "notes.mvdb", "zzzz")[1]
    assert said("count", "notes.mvdb", "--filter", '{"lang": "fr"}') == (0, "")
    assert said("count", "notes.mvdb", "--filter", '{"lng": 1}', "--json") == (0, "")
    assert said("list", "notes.mvdb", "--order-by", "lan", "-q") == (0, "")


def test_a_query_needs_no_quotes(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """The words of a query may stand anywhere behind the file; those with - in front behind --."""
    lexical = ("--mode", "lexical", "--json")

    def found(*arguments: str) -> tuple[str, list[str]]:
        assert main(("search", *arguments)) == 0
        answer = json.loads(capsys.readouterr().out)
        return answer["query"], [hit["id"] for hit in answer["hits"]]

    whole = found("notes.mvdb", "flour and salt", *lexical)
    assert whole == ("flour and salt", ["bread#1"])
    assert found("notes.mvdb", "flour", "and", "salt", *lexical) == whole
    assert found("notes.mvdb", *lexical, "flour", "and", "salt") == whole
    assert found(*lexical, "notes.mvdb", "flour", "-k", "2", "and", "-q", "salt") == whole
    assert found("notes.mvdb", "flour", *lexical, "--", "and", "salt") == whole
    assert found("notes.mvdb", *lexical, "--", "water", "-salt", "--json") == (
        "water -salt --json",
        ["bread#2"],
    )
    assert found("notes.mvdb", "water", *lexical, "--", "-salt")[0] == "water -salt"
    assert found("notes.mvdb", "below", *lexical, "-5", "degrees")[0] == "below -5 degrees"
    code, error = said("search", "notes.mvdb", *lexical)
    assert (code, "QUERY" in error) == (2, True)
