"""``mvdb index`` on files: what is stored, skipped, replaced and removed."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from conftest import ENCODER, CommandLine

import mvdb

OTHER = ("--encoder", "words_encoder:make_refused")


def ids(cli: CommandLine) -> list[str]:
    return [line["id"] for line in cli.export()]


def test_passages_have_readable_ids_and_say_where_they_are_from(notes: CommandLine) -> None:
    lines = notes.export()
    assert [line["id"] for line in lines] == [
        "notes/code.py#1",
        "notes/fruit.md#1",
        "notes/sky/sky.txt#1",
    ]
    assert lines[1]["text"] == "# Fruit\n\nApples are red.\n\nBananas are yellow."
    assert lines[1]["metadata"] == {
        "path": "notes/fruit.md",
        "title": "Fruit",
        "document": "Fruit",
        "line": 1,
        "end_line": 5,
        "folder": "notes",
        "name": "fruit.md",
        "size": (notes.folder / "notes" / "fruit.md").stat().st_size,
        "modified": lines[1]["metadata"]["modified"],
        "indexed": lines[1]["metadata"]["indexed"],
    }
    assert datetime.fromisoformat(lines[1]["metadata"]["modified"]).tzinfo is not None
    with mvdb.open(notes.folder / "n.mvdb", readonly=True) as db:
        assert db.stats().encoder == "words"
        assert db.bits == 2


def test_the_summary(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write("a/one.txt", "One passage.")
    mvdb_cli.write("a/none.txt", "\n")
    line = mvdb_cli.ok("index", "a", "n.mvdb", *ENCODER).out
    assert line.startswith("1 file (1 without text), 1 passage, 2 tokens, ")
    assert " s, n.mvdb " in line


def test_unchanged_files_are_skipped_and_no_encoder_is_loaded(notes: CommandLine) -> None:
    summary = notes.ok("index", "notes", "n.mvdb", *OTHER, "--json").json
    assert summary["files"]["unchanged"] == 3
    assert summary["files"]["indexed"] == summary["passages"]["written"] == summary["tokens"] == 0


def test_a_changed_file_is_replaced_whole(notes: CommandLine) -> None:
    paragraph = "Many words about plums and pears. " * 30
    notes.write("notes/fruit.md", f"# Fruit\n\n{paragraph}\n\n# Plums\n\n{paragraph}\n")
    summary = notes.index("notes", "n.mvdb")
    assert summary["files"] == {
        "indexed": 1, "renamed": 0, "unchanged": 2, "empty": 0, "skipped": 0, "failed": 0,
        "removed": 0,
    }  # fmt: skip
    assert summary["passages"]["deleted"] == 1
    fruit = [id for id in ids(notes) if "fruit" in id]
    assert fruit == [f"notes/fruit.md#{n}" for n in range(1, summary["passages"]["written"] + 1)]
    # And back: the passages that there are no more go.
    notes.write("notes/fruit.md", "Short.")
    notes.index("notes", "n.mvdb")
    assert [id for id in ids(notes) if "fruit" in id] == ["notes/fruit.md#1"]
    notes.write("notes/fruit.md", "")
    assert notes.index("notes", "n.mvdb")["files"]["empty"] == 1
    assert not [id for id in ids(notes) if "fruit" in id]


def test_prune_removes_what_is_gone_below_the_folders_given(notes: CommandLine) -> None:
    shutil.rmtree(notes.folder / "notes" / "sky")
    (notes.folder / "notes" / "code.py").unlink()
    assert notes.index("notes", "n.mvdb")["files"]["removed"] == 0
    assert len(ids(notes)) == 3
    notes.write("other/a.txt", "Other.")
    assert notes.index("other", "n.mvdb", "--prune")["files"]["removed"] == 0
    assert notes.index("notes", "n.mvdb", "--prune")["files"]["removed"] == 2
    assert ids(notes) == ["notes/fruit.md#1", "other/a.txt#1"]


def test_a_source_that_is_gone_as_a_whole_is_pruned(notes: CommandLine) -> None:
    shutil.rmtree(notes.folder / "notes")
    outcome = notes("index", "notes", "n.mvdb", *ENCODER)
    assert (outcome.code, len(ids(notes))) == (1, 3)
    assert "notes: no such file or folder; its passages can be deleted with" in outcome.err
    assert notes.index("notes", "n.mvdb", "--prune")["files"]["removed"] == 3
    assert not ids(notes)


def test_prune_leaves_documents_that_are_no_files(notes: CommandLine) -> None:
    line = '{"id": "notes/gone.md#1", "text": "Mine.", "metadata": {"path": "elsewhere"}}'
    notes.index("-", "n.mvdb", stdin=line)
    assert notes.index("notes", "n.mvdb", "--prune")["files"]["removed"] == 0
    assert "notes/gone.md#1" in ids(notes)


def test_a_file_goes_by_one_name_from_wherever_it_is_given(notes: CommandLine) -> None:
    folder = notes.folder
    for source, file, cwd in [
        (".", "../n.mvdb", folder / "notes"),
        (str(folder / "notes"), str(folder / "n.mvdb"), Path("/")),
        ("notes/sky/../fruit.md", "n.mvdb", folder),
    ]:
        summary = notes.ok("index", source, file, *OTHER, "--json", cwd=cwd).json
        assert summary["files"]["unchanged"] >= 1
        assert summary["passages"]["written"] == 0


def test_the_same_file_by_two_ways_is_indexed_once(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write("a/b/x.txt", "Once.")
    assert mvdb_cli.index("a", "a/b", "a/b/x.txt", "n.mvdb")["files"]["indexed"] == 1


def test_ids_do_not_depend_on_where_the_database_lies(notes: CommandLine) -> None:
    before = notes.export()
    notes.write("db/here.txt", "")
    shutil.move(notes.folder / "n.mvdb", notes.folder / "db" / "moved.mvdb")
    for cwd, source in ((notes.folder, "notes"), (notes.folder / "notes", ".")):
        file = str(notes.folder / "db" / "moved.mvdb")
        summary = notes.ok("index", source, file, *OTHER, "--json", cwd=cwd).json
        assert summary["files"]["unchanged"] == 3
    notes.index("notes", "db/new.mvdb")
    assert notes.export("db/new.mvdb") == notes.export("db/moved.mvdb") == before


def test_a_folder_without_files_makes_an_empty_database(mvdb_cli: CommandLine) -> None:
    (mvdb_cli.folder / "empty").mkdir()
    assert mvdb_cli.index("empty", "n.mvdb")["passages"]["written"] == 0
    assert mvdb_cli.search("n.mvdb", "anything") == []
    assert mvdb_cli.ok("search", "n.mvdb", "x", *ENCODER, "-q").out == ""


def test_what_cannot_be_read_is_said_and_counted(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write("a/good.txt", "Good.")
    mvdb_cli.write("a/binary.txt", b"\x7fELF\0\0\0")
    mvdb_cli.write("a/large.txt", b"x" * ((1 << 20) + 1))
    mvdb_cli.write("a/one.o", b"\x7fELF\0\0\0")
    mvdb_cli.write("a/two.o", b"\x7fELF\0\0\0")
    os.symlink("nowhere", mvdb_cli.folder / "a" / "dangling.md")
    outcome = mvdb_cli("index", "a", "n.mvdb", *ENCODER, "--max-size", "1")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "mvdb: warning: a/dangling.md: skipped: it is gone, or a link to nothing",
        "mvdb: warning: a/large.txt: skipped: larger than 1 MiB",
        "mvdb: warning: a/binary.txt: skipped: binary",
        "mvdb: warning: 5 files skipped: .o 2, gone 1, too large 1, binary 1",
    ]
    assert outcome.out.startswith("1 file (5 skipped), ")
    quiet = mvdb_cli("index", "a", "n.mvdb", *ENCODER, "--max-size", "1", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_file_that_cannot_be_read_any_more_loses_its_passages(notes: CommandLine) -> None:
    """What it said before must not be found for ever; one may ask to keep it."""
    notes.write("notes/fruit.md", b"\0")
    outcome = notes("index", "notes", "n.mvdb", *ENCODER, "--keep-unreadable")
    assert outcome.code == 0
    assert "notes/fruit.md#1" in ids(notes)
    assert notes("index", "notes", "n.mvdb", *ENCODER).code == 0
    assert "notes/fruit.md#1" not in ids(notes)


def test_a_failing_reader_costs_its_file_alone(mvdb_cli: CommandLine) -> None:
    """The rest is stored; the command names the file, and its exit code says so."""
    mvdb_cli.write("a/good.txt", "Good.")
    mvdb_cli.write("a/bad.epub", b"PK\5\6" + bytes(18))
    mvdb_cli.write("a/worse.broken", "x")
    encoder = ("--encoder", "words_encoder:make_with_a_broken_reader")
    outcome = mvdb_cli("index", "a", "n.mvdb", *encoder, "--json")
    assert outcome.code == 1
    summary = json.loads(outcome.out)
    assert summary["files"]["indexed"] == 1
    assert summary["skipped"] == {"damaged": 1}
    (failure,) = (one for one in summary["refusals"] if one["kind"] == "failed")
    assert failure["path"] == str(mvdb_cli.folder / "a" / "worse.broken")
    assert "could not be read: a/worse.broken (" in outcome.err.splitlines()[-1]
    assert [line["text"] for line in mvdb_cli.export("n.mvdb")] == ["Good."]


def test_what_is_found_by_default(mvdb_cli: CommandLine) -> None:
    """Whatever is text; not what ignore files name, nor hidden files or folders of tools."""
    for name in ("main.c", "Makefile", "node_modules/x.js", ".secret", "build/out.txt", "data.csv"):
        mvdb_cli.write(f"a/{name}", "words in it\n")
    mvdb_cli.write("a/.gitignore", "build/\n")
    names = lambda: [line["metadata"]["path"] for line in mvdb_cli.export("n.mvdb")]  # noqa: E731
    mvdb_cli.index("a", "n.mvdb")
    assert names() == ["a/Makefile", "a/data.csv", "a/main.c"]
    mvdb_cli.index("a", "n.mvdb", "--no-ignore", "--hidden")
    assert len(names()) == 7


def test_names_that_are_long_or_not_utf8(mvdb_cli: CommandLine) -> None:
    folder = "/".join(["漢" * 60] * 5)
    mvdb_cli.write(f"{folder}/x.txt", "Deep.")
    os.mkdir(mvdb_cli.folder / "raw")
    with open(os.fsencode(mvdb_cli.folder / "raw") + b"/\xff#2.txt", "w") as file:
        file.write("Strange.")
    for expected in (2, 0):
        summary = mvdb_cli.index(".", "n.mvdb")
        assert summary["passages"]["written"] == expected
    lines = {line["text"]: line for line in mvdb_cli.export()}
    above = mvdb_cli.folder.name
    assert lines["Deep."]["metadata"]["path"] == f"{above}/{folder}/x.txt"
    assert len(lines["Deep."]["id"].encode()) <= 500
    assert lines["Strange."]["id"] == f"{above}/raw/\\xff#2.txt#1"
    shutil.rmtree(mvdb_cli.folder / "raw")
    assert mvdb_cli.index(".", "n.mvdb", "--prune")["files"]["removed"] == 1


def test_a_long_file_is_written_in_one_transaction(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write(
        "a/long.txt", "\n\n".join(f"Paragraph {n}. " + "word " * 120 for n in range(700))
    )
    mvdb_cli.write("b/z.txt", "After.")
    summary = mvdb_cli.index("a", "b", "n.mvdb")
    assert summary["passages"]["written"] == 701
    assert summary["tokens"] == 700 * 122 + 1


def test_passages_deleted_by_hand_stay_deleted(mvdb_cli: CommandLine) -> None:
    paragraph = "Some words in a paragraph. " * 30
    mvdb_cli.write("a.txt", f"{paragraph}\n\n{paragraph}\n\n{paragraph}")
    mvdb_cli.index("a.txt", "n.mvdb")
    mvdb_cli.ok("delete", "n.mvdb", "a.txt#1")
    assert mvdb_cli.index("a.txt", "n.mvdb")["files"]["unchanged"] == 1
    assert "a.txt#1" not in ids(mvdb_cli)


@pytest.mark.parametrize("bits", ["1", "4", "16"])
def test_bits_are_chosen_once(notes: CommandLine, bits: str) -> None:
    notes.index("notes", "m.mvdb", "--bits", bits)
    with mvdb.open(notes.folder / "m.mvdb", readonly=True) as db:
        assert db.bits == int(bits)
    notes.write("notes/new.txt", "New.")
    assert notes.index("notes", "m.mvdb")["passages"]["written"] == 1
    outcome = notes("index", "notes", "m.mvdb", *ENCODER, "--bits", "8")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"m.mvdb: the file has bits={bits}, which is fixed" in outcome.err


def test_another_encoder_is_refused(notes: CommandLine) -> None:
    notes.write("notes/new.txt", "New.")
    for command in (("index", "notes", "n.mvdb"), ("search", "n.mvdb", "sky")):
        outcome = notes(*command, "--encoder", "words_encoder:make_other")
        assert (outcome.code, outcome.out) == (1, "")
        assert "n.mvdb was made with the encoder 'words', not 'other words'" in outcome.err
    assert len(ids(notes)) == 3
