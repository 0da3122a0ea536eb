"""What is stored, file by file: ls, show, delete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import CommandLine

import mvdb
import mvdb.folders
from mvdb.cli import main

WORDS = " ".join(f"word{number}" for number in range(60))
LONG = "# Long\n\n" + "\n\n".join(f"Paragraph {number}. {WORDS}" for number in range(12))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Files and records in `n.mvdb`, for tests that change nothing."""
    cli = CommandLine(tmp_path_factory.mktemp("stored"))
    cli.write("notes/fruit.md", "# Fruit\n\nApples are red.\n")
    cli.write("notes/sky/sky.txt", "The sky is blue.\n")
    cli.write("notes/sky/long.md", LONG)
    cli.write("notes-old.txt", "Not below notes.\n")
    record = {"id": "r", "text": "A record", "metadata": {"path": "notes/fruit.md", "n": [1]}}
    lines = [record, {"id": 7, "text": "Another"}]
    cli.index("notes", "notes-old.txt", "-", "n.mvdb", stdin="\n".join(map(json.dumps, lines)))
    return cli


@pytest.fixture
def run(
    folder: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command that must succeed; what it printed, as JSON with --json."""
    monkeypatch.chdir(folder.folder)

    def call(*arguments: str) -> Any:
        code, (out, err) = main(arguments), capsys.readouterr()
        assert (code, err) == (0, ""), err
        return json.loads(out) if "--json" in arguments else out

    return call


@pytest.fixture
def refused(
    folder: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command that must fail with one line, and returns the line."""
    monkeypatch.chdir(folder.folder)

    def call(*arguments: str) -> str:
        code, (out, err) = main(arguments), capsys.readouterr()
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        return str(err)

    return call


def paths(answer: Any) -> list[str]:
    return [one["path"] for one in answer["files"]]


def test_ls_lists_files_by_path_and_counts_what_is_of_no_file(run: Any) -> None:
    answer = run("ls", "n.mvdb", "--json")
    assert paths(answer) == [
        "notes-old.txt",
        "notes/fruit.md",
        "notes/sky/long.md",
        "notes/sky/sky.txt",
    ]
    passages = {one["path"]: one["passages"] for one in answer["files"]}
    assert passages["notes/fruit.md"] == 1
    assert passages["notes/sky/long.md"] > 3
    assert answer["others"] == 2
    assert sum(passages.values()) + 2 == run("count", "n.mvdb", "--json")["count"]
    *files, last = run("ls", "n.mvdb").splitlines()
    assert [line.split()[-1] for line in files] == paths(answer)
    assert last.endswith("passages; 2 other documents, not of a file")


def test_ls_below_a_prefix(run: Any, refused: Any) -> None:
    below = ["notes/fruit.md", "notes/sky/long.md", "notes/sky/sky.txt"]
    for prefix in ("notes", "notes/", "./notes", "notes/sky/.."):
        assert paths(run("ls", "n.mvdb", prefix, "--json")) == below
    assert paths(run("ls", "n.mvdb", "notes/sky", "--json")) == below[1:]
    assert paths(run("ls", "n.mvdb", "notes/fruit.md", "--json")) == below[:1]
    assert len(paths(run("ls", "n.mvdb", ".", "--json"))) == 4
    assert "other documents" not in run("ls", "n.mvdb", "notes")
    assert "did you mean notes/?" in refused("ls", "n.mvdb", "note")
    assert "notes/sky/" in refused("ls", "n.mvdb", "notes/skye")


def test_show_a_document(run: Any) -> None:
    (document,) = run("show", "n.mvdb", "notes/fruit.md#1", "--json")["documents"]
    assert document["text"] == "# Fruit\n\nApples are red."
    lines = run("show", "n.mvdb", "notes/fruit.md#1").splitlines()
    assert lines[0] == "notes/fruit.md#1"
    assert {"title": "Fruit", "line": "1"}.items() <= dict(
        line.split(maxsplit=1) for line in lines[1 : lines.index("")]
    ).items()
    assert lines[lines.index("") + 1 :] == ["# Fruit", "", "Apples are red."]
    assert "  n     [1]\n" in run("show", "n.mvdb", "r")
    (document,) = run("show", "n.mvdb", "7", "--integer", "--json")["documents"]
    assert document == {"id": 7, "text": "Another", "metadata": {}, "n_tokens": 1}


def test_show_a_file_in_order_and_with_context(run: Any, refused: Any) -> None:
    passages = run("show", "n.mvdb", "notes/sky/long.md", "--json")["documents"]
    assert len(passages) > 3
    ids = [one["id"] for one in passages]
    assert [id.rpartition("#")[2] for id in ids] == [str(n + 1) for n in range(len(ids))]
    shown = run("show", "n.mvdb", "notes/sky/long.md")
    assert [shown.index(f"Paragraph {n}.") for n in range(12)] == sorted(
        shown.index(f"Paragraph {n}.") for n in range(12)
    )
    for at, around, found in ((2, 1, ids[1:4]), (0, 2, ids[:3]), (1, 99, ids), (2, 0, ids[2:3])):
        answer = run("show", "n.mvdb", ids[at], "--context", str(around), "--json")
        assert [one["id"] for one in answer["documents"]] == found
    # A record that calls itself a passage of a file is none.
    assert len(run("show", "n.mvdb", "notes/fruit.md", "--json")["documents"]) == 1
    assert len(run("show", "n.mvdb", "r", "--context", "3", "--json")["documents"]) == 1
    assert "is a folder of 2 files: mvdb ls n.mvdb" in refused("show", "n.mvdb", "notes/sky")
    assert "did you mean notes/fruit.md" in refused("show", "n.mvdb", "notes/fruits.md")
    assert refused("show", "n.mvdb", "seven", "--integer")
    assert refused("show", "n.mvdb", "x" * 600)


def test_control_characters_do_not_reach_the_terminal(mvdb_cli: CommandLine) -> None:
    line = {"id": "a\x1b[1m", "text": "b\x1b[2m\nc", "metadata": {"k\x1b[3m": "v\x1b[4m\n"}}
    mvdb_cli.index("-", "n.mvdb", stdin=json.dumps(line))
    shown = mvdb_cli.ok("show", "n.mvdb", "a\x1b[1m").out
    assert "\x1b" not in shown
    assert shown.endswith("\n\nb\ufffd[2m\nc\n")


def test_files_of_one_path_below_two_roots(
    mvdb_cli: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for root in ("a", "b"):
        mvdb_cli.write(f"{root}/notes/x.txt", f"In {root}.")
        mvdb_cli.index(f"{root}/notes", "n.mvdb")
    monkeypatch.chdir(mvdb_cli.folder)
    assert main(["ls", "n.mvdb"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.endswith(str(mvdb_cli.folder / "a/notes/x.txt"))
    assert second.endswith(str(mvdb_cli.folder / "b/notes/x.txt"))
    assert last == "2 files, 2 passages"
    assert main(["show", "n.mvdb", "notes/x.txt"]) == 0
    shown = capsys.readouterr().out
    assert "In a." in shown
    assert "In b." in shown
    assert main(["delete", "n.mvdb", "b/notes"]) == 0
    assert [one["text"] for one in mvdb_cli.export()] == ["In a."]
    monkeypatch.chdir(mvdb_cli.folder / "a" / "notes")
    assert main(["ls", "../../n.mvdb", "."]) == 0
    assert capsys.readouterr().out.endswith("1 file, 1 passage\n")
    monkeypatch.chdir(mvdb_cli.folder / "b")
    assert main(["delete", "../n.mvdb", "."]) == 1  # the files below the working folder, not all
    assert [one["text"] for one in mvdb_cli.export()] == ["In a."]


def test_a_file_that_was_indexed_in_part_is_deleted_with_its_old_passages(
    mvdb_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an interruption a file has passages of two versions."""
    monkeypatch.chdir(mvdb_cli.folder)
    mvdb_cli.write("x.md", LONG)
    mvdb_cli.index("x.md", "n.mvdb")
    with mvdb.open("n.mvdb") as db:
        first = next(db.documents(limit=1))
        (vectors,) = db.vectors(first.id)
        versions = json.loads(first.metadata["indexed"])
        assert versions[3]
        versions[3] = "0" * 16  # the hash of the content
        older = json.dumps(versions, ensure_ascii=False, separators=(",", ":"))
        db.insert("x.md#999", vectors, metadata={**first.metadata, "indexed": older})
        assert [one.is_whole for one in mvdb.folders.files(db)] == [False]
    assert main(["delete", "n.mvdb", "x.md", "-q"]) == 0
    assert left(mvdb_cli) == []


@pytest.fixture
def stored(notes: CommandLine) -> CommandLine:
    """The files of `notes`, and a record that calls itself a passage of one of them."""
    record = {"id": "r", "text": "x", "metadata": {"path": "notes/fruit.md"}}
    notes.index("-", "n.mvdb", stdin=json.dumps(record))
    return notes


def left(cli: CommandLine) -> list[str | int]:
    with mvdb.open(cli.folder / "n.mvdb", readonly=True) as db:
        return list(db.ids())


def test_delete_files_and_folders(
    stored: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stored.folder)
    everything = left(stored)
    assert main(["delete", "n.mvdb", "notes/", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "notes/code.py", "notes/fruit.md", "notes/sky/sky.txt", "3 documents would be deleted"
    ]  # fmt: skip
    assert main(["delete", "n.mvdb", "--filter", "{}", "--dry-run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["deleted"], answer["would_delete"]) == (0, everything)
    assert main(["delete", "n.mvdb", "note", "sky"]) == 1
    assert "did you mean notes/?; nothing was deleted" in capsys.readouterr().err
    assert left(stored) == everything
    assert main(["delete", "n.mvdb", "notes/sky", "-q", "notes/code.px"]) == 0
    assert left(stored) == ["notes/code.py#1", "notes/fruit.md#1", "r"]
    assert main(["delete", "n.mvdb", "notes/fruit.md", "notes/code.px"]) == 0
    out, err = capsys.readouterr()
    assert out == "1 document deleted, 1 not found\n"
    assert err.startswith("notes/code.px: not found; did you mean notes/code.py")
    assert left(stored) == ["notes/code.py#1", "r"]
    assert main(["delete", "n.mvdb", "notes", "r", "notes/code.py#1"]) == 0
    assert left(stored) == []


def test_an_id_goes_before_a_path(stored: CommandLine) -> None:
    record = {"id": "notes/fruit.md", "text": "x"}
    stored.index("-", "n.mvdb", stdin=json.dumps(record))
    assert stored.ok("delete", "n.mvdb", "notes/fruit.md").out == "1 document deleted\n"
    assert "notes/fruit.md#1" in left(stored)
