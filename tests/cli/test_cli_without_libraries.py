"""Every command without the extra ``cli``: Markdown and HTML are read as plain text, with a note,
and results are shown without bold words."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ENCODER, WITHOUT_LIBRARIES, CommandLine

import mvdb


@pytest.fixture
def plain_cli(tmp_path: Path) -> CommandLine:
    """The command line without its libraries, in a folder of its own."""
    return CommandLine(tmp_path, WITHOUT_LIBRARIES)


def test_files_are_read_as_plain_text_with_one_note_for_each_kind(plain_cli: CommandLine) -> None:
    plain_cli.write("a/one.md", "# Fruit\n\nApples.\n")
    plain_cli.write("a/two.md", "# Trees\n\nOaks.\n")
    plain_cli.write("a/page.html", "<p>Sky &amp; sea.</p>\n")
    plain_cli.write("a/text.txt", "Plain.\n")
    outcome = plain_cli("index", "a", "n.mvdb", *ENCODER)
    assert (outcome.code, outcome.out.startswith("4 files, 4 passages, ")) == (0, True)
    assert outcome.err.splitlines() == [
        f"mvdb: warning: {suffix} files are read as plain text: {name} is not installed "
        "(pip install 'mvdb-engine[cli]')"
        for suffix, name in ((".md", "markdown_it"), (".html", "lxml"))
    ]
    lines = plain_cli.export()
    assert [(line["text"], line["metadata"]["title"]) for line in lines] == [
        ("# Fruit\n\nApples.", ""),
        ("<p>Sky &amp; sea.</p>", ""),
        ("Plain.", ""),
        ("# Trees\n\nOaks.", ""),
    ]


def test_the_note_is_a_warning_and_quiet_leaves_it_out(plain_cli: CommandLine) -> None:
    plain_cli.write("a.md", "# Fruit\n")
    assert plain_cli("index", "a.md", "n.mvdb", *ENCODER, "-q").err == ""


def test_results_are_shown(plain_cli: CommandLine) -> None:
    plain_cli.write("a.txt", "The sky is blue, " + "and the sea is wide " * 8)
    plain_cli.index("a.txt", "n.mvdb")
    shown = plain_cli.ok("search", "n.mvdb", "blue sky", *ENCODER).out.splitlines()
    assert shown[0].endswith("  a.txt:1")
    assert shown[1].startswith("   The sky is blue, and the sea")
    assert 70 < max(map(len, shown)) <= 80
    assert plain_cli.search("n.mvdb", "blue sky")[0]["matches"] != []


def test_every_other_command(plain_cli: CommandLine) -> None:
    plain_cli.index("-", "n.mvdb", stdin='{"id": 1, "text": "one"}\n{"id": 2, "text": "two"}\n')
    for command in (
        ("info", "n.mvdb"),
        ("verify", "n.mvdb"),
        ("optimize", "n.mvdb"),
        ("compact", "n.mvdb"),
        ("backup", "n.mvdb", "copy.mvdb"),
        ("repair", "n.mvdb", "repaired.mvdb"),
        ("delete", "n.mvdb", "--integers", "1"),
        ("demo", *ENCODER, "--limit", "20", "a question"),
    ):
        assert plain_cli.ok(*command).out != ""
    assert [line["id"] for line in plain_cli.export()] == [2]
    with mvdb.open(plain_cli.folder / "repaired.mvdb", readonly=True) as db:
        assert list(db.ids()) == [1, 2]
