"""``mvdb demo``: Python's own documentation, indexed and asked."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ENCODER, CommandLine

import mvdb.cli
from mvdb.cli.commands import demo_command
from mvdb.cli.stdlib import stdlib_records
from mvdb.reading import Cutting


def test_the_docstrings_of_the_standard_library() -> None:
    records = {record.id: record for record in stdlib_records()}
    assert len(records) > 2000
    assert {"json.dumps", "collections.Counter.most_common", "functools.lru_cache"} <= set(records)
    assert records["json.dumps"].text.startswith("def dumps(obj, *, skipkeys=False,")
    assert records["json.dumps"].metadata["module"] == "json"
    for record in records.values():
        assert len(record.text.split()) <= Cutting().most + Cutting().short
        assert not any(part.startswith("_") for part in str(record.id).split("."))


def test_the_demo_answers_and_is_used_again(mvdb_cli: CommandLine) -> None:
    command = ("demo", *ENCODER, "--limit", "200", "--json")
    first = mvdb_cli.ok(*command).json
    assert first["file"] == ".demo/stdlib.mvdb"
    assert first["documents"] == first["passages"]["written"] == 200
    assert len(first["questions"]) == 8
    assert all(len(question["hits"]) == 3 for question in first["questions"][:7])
    second = mvdb_cli.ok(*command).json
    assert second["passages"] == {"written": 0, "kept": 200, "deleted": 0, "duplicates": 0}
    assert [q["hits"] for q in second["questions"]] == [q["hits"] for q in first["questions"]]


def test_a_name_and_a_phrase_are_among_the_demos_questions() -> None:
    name, phrase = demo_command.QUESTIONS[-2:]
    texts = {record.id: record.text.lower() for record in stdlib_records()}
    assert any(f"def {name}(" in text for text in texts.values())
    assert phrase.strip('"') != phrase
    assert any(phrase.strip('"') in text for text in texts.values())


def test_what_the_demo_says(mvdb_cli: CommandLine) -> None:
    shown = mvdb_cli.ok("demo", *ENCODER, "--limit", "50", "--file", "d.mvdb", "a question").out
    assert "50 docstrings of Python's standard library" in shown
    assert "a question  (" in shown
    assert "mvdb search d.mvdb" in shown
    assert max(map(len, shown.splitlines())) <= 80


ROOMS = (
    "mvdb.cli",
    "mvdb.reading",
    "mvdb.importers",
    "mvdb.serving",
    "mvdb.evaluation",
    "mvdb.folders",
)
"""The other rooms stand on the public API themselves (tests/test_layers.py)."""


def test_only_the_public_api_is_imported() -> None:
    """The command line stands on the public API, mvdb and mvdb.encoders, and on mvdb.serving, which
    does too; on nothing below."""
    for path in sorted(Path(mvdb.cli.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] == "mvdb":
                    assert name in ("mvdb", "mvdb.encoders") or name.startswith(ROOMS)
