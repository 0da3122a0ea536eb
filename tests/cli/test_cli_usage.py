"""Exit codes, messages and what every command has in common."""

from __future__ import annotations

import re
import shlex

import pytest
from conftest import ENCODER, CommandLine

import mvdb
from mvdb.cli import build_parser, describe, main
from mvdb.cli.commands.grammar import Parser

COMMANDS = (
    "index", "search", "similar", "ls", "show", "count", "facets", "list", "tenants", "info",
    "verify", "optimize", "compact", "backup", "repair", "delete", "import", "export", "eval",
    "serve", "mcp", "demo",
)  # fmt: skip


def commands() -> dict[str, Parser]:
    """The parsers of all commands."""
    (found,) = (one for one in build_parser()._actions if one.dest == "command")
    assert isinstance(found.choices, dict)
    return dict(found.choices)


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("nothing",), ("index", "only-one"), ("search", "n.mvdb"), ("info",), ("delete", "f"),
        ("delete", "f", "id", "--filter", "{}"), ("facets", "f"), ("list", "f", "--limit", "0"),
        ("import", "only-one"), ("import", "a", "b", "--from", "x"), ("export", "f", "--to", "x"),
        ("index", "a", "b", "--bits", "3"), ("search", "f", "q", "-k", "0"),
        ("search", "f", "q", "-k", "many"), ("index", "a", "b", "--no-such-option"),
        ("serve", "f"), ("serve", "--stdio"), ("serve", "f", "--stdio", "--dim", "0"), ("mcp",),
    ],
)  # fmt: skip
def test_wrong_usage_is_2_in_one_line(mvdb_cli: CommandLine, arguments: tuple[str, ...]) -> None:
    outcome = mvdb_cli(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("mvdb")
    assert "error: " in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "no.mvdb", "query"), ("count", "no.mvdb"), ("facets", "no.mvdb", "lang"),
        ("list", "no.mvdb"), ("delete", "no.mvdb", "--filter", "{}"),
        ("info", "no.mvdb"), ("verify", "no.mvdb"),
        ("optimize", "no.mvdb"), ("compact", "no.mvdb"), ("backup", "no.mvdb", "x"),
        ("repair", "no.mvdb", "x"), ("delete", "no.mvdb", "id"), ("export", "no.mvdb"),
        ("serve", "no.mvdb", "--stdio", "--readonly"), ("mcp", "no.mvdb", "--no-encoder"),
        ("ls", "no.mvdb"), ("show", "no.mvdb", "id"), ("similar", "no.mvdb", "id"),
    ],
)  # fmt: skip
def test_a_missing_file_is_1_in_one_line(mvdb_cli: CommandLine, arguments: tuple[str, ...]) -> None:
    outcome = mvdb_cli(*arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert len(outcome.err.splitlines()) == 1
    assert "no.mvdb" in outcome.err
    assert not list(mvdb_cli.folder.iterdir())


def test_a_file_that_is_no_database(mvdb_cli: CommandLine) -> None:
    mvdb_cli.write("a.txt", "Some text.")
    for arguments in (("info", "a.txt"), ("index", "a.txt", "b.txt"), ("verify", "a.txt")):
        mvdb_cli.write("b.txt", "Some text.")
        outcome = mvdb_cli(*arguments)
        assert (outcome.code, outcome.out) == (1, "")
        assert len(outcome.err.splitlines()) == 1
        assert (mvdb_cli.folder / "b.txt").read_text() == "Some text."


def test_sources_that_cannot_be_meant(notes: CommandLine) -> None:
    for arguments, reason in [
        (("n.mvdb", "notes"), "notes is a folder: the database comes last"),
        (("notes", "nothing", "new.mvdb"), "nothing: no such file or folder"),
        (("n.mvdb", "n.mvdb"), "cannot be a source"),
        (("notes", "no/such/folder/n.mvdb"), "no/such/folder"),
    ]:
        outcome = notes("index", *arguments, *ENCODER)
        assert (outcome.code, outcome.out) == (1, "")
        assert reason in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert not (notes.folder / "new.mvdb").exists()


def test_a_traceback_on_request_only(mvdb_cli: CommandLine) -> None:
    assert "Traceback" not in mvdb_cli("info", "no.mvdb").err
    outcome = mvdb_cli("info", "no.mvdb", environment={"MVDB_TRACEBACK": "1"})
    assert outcome.code == 1
    assert "Traceback" in outcome.err


def test_version_and_help(mvdb_cli: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert mvdb_cli.ok("--version").out == f"mvdb {mvdb.__version__}\n"
    listed = mvdb_cli.ok("--help").out
    for command in COMMANDS:
        assert f"    {command} " in listed
        assert main([command, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: mvdb {command}")


@pytest.mark.parametrize("command", commands())
def test_every_help_has_examples_that_can_be_given(command: str) -> None:
    """Each is parsed by the parser itself: a renamed option cannot stay behind in a help text."""
    parser = commands()[command]
    assert 1 <= len(parser.examples) <= 3
    assert parser.format_help().endswith("".join(f"  {line}\n" for line in parser.examples))
    for line in parser.examples:
        for part in line.partition(" > ")[0].split(" | "):
            program, *arguments = shlex.split(part)
            assert program == "mvdb"
            assert build_parser().parse_args(arguments).command == arguments[0]
        assert f"mvdb {command} " in f"{line} "
        assert len(line) <= 78  # two columns of an ordinary terminal are its margin


@pytest.mark.parametrize("command", ["", *commands()])
def test_no_help_has_markup(command: str) -> None:
    parser = commands()[command] if command else build_parser()
    found = re.findall(r"`|\*\*|::|:\w+:|\[\w+\]\(", parser.format_help())
    assert not found


def test_main_returns_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["nothing"]) == 2
    assert main(["info", "no/such/file.mvdb"]) == 1
    assert "no/such/file.mvdb" in capsys.readouterr().err


def test_messages_name_the_kind_where_the_words_alone_say_little() -> None:
    assert describe(KeyError("x")) == "KeyError: 'x'"
    assert describe(AssertionError()) == "AssertionError"
    assert describe(mvdb.NotFoundError("id 'x' is not there")) == "id 'x' is not there"
    assert describe(ValueError("two\nlines")) == "two lines"
    assert describe(FileNotFoundError(2, "No such file", "x")) == "x: No such file"


def test_json_is_utf8_whatever_the_locale(notes: CommandLine) -> None:
    notes.index("-", "n.mvdb", stdin='{"id": "é", "text": "☃"}'.encode())
    narrow = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    assert '"☃"' in notes.ok("export", "n.mvdb", environment=narrow).out
    shown = notes.ok("search", "n.mvdb", "☃ x", *ENCODER, "-k", "9", environment=narrow).out
    assert "\\u2603" in shown
