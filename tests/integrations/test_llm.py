"""The tool and the fragments of mvdb in `llm`, called as `llm` calls them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvdb
from mvdb import encoders
from tests.helpers import FakeEncoder
from tests.integrations.frameworks import need
from tests.support.patience import PATIENCE

need("llm")

import llm  # noqa: E402
from llm.plugins import pm  # noqa: E402

from mvdb.integrations import llm as plugin  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.mvdb"
    with mvdb.open(path, encoder=FakeEncoder()) as db:
        db.insert(
            ["gulls", "dough", 5],
            texts=["gulls follow the ferry", "knead the bread dough", "rye bread"],
            metadata=[{"year": 2020}, None, None],
        )
    return path


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    llm.get_tools()  # loads plugins, among them mvdb where it is installed
    mine = not pm.is_registered(plugin)
    if mine:
        pm.register(plugin, "mvdb")
    yield
    if mine:
        pm.unregister(plugin)


def test_a_model_searches_a_file_by_words(file: Path) -> None:
    box = llm.get_tools()["Mvdb"]
    assert isinstance(box, type)
    (tool,) = box(str(file)).tools()
    assert tool.name == "Mvdb_search"
    assert set(tool.input_schema["properties"]) == {"query", "k"}
    assert tool.implementation is not None
    found = json.loads(tool.implementation(query="bread"))
    assert {one["id"] for one in found} == {"dough", 5}
    (first,) = json.loads(tool.implementation(query="gulls", k=1))
    assert first["text"] == "gulls follow the ferry"
    assert first["metadata"] == {"year": 2020}
    assert first["score"] > 0


def test_an_encoder_that_is_named_searches_by_meaning(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = FakeEncoder()
    monkeypatch.setattr("mvdb.integrations.llm.llm_plugin._load", lambda name: encoder)
    found = json.loads(plugin.Mvdb(str(file), encoder="a/model").search("ferry", k=9))
    assert len(found) == 3  # hybrid: documents without the word, too
    assert encoder.calls == [("queries", ["ferry"])]


def test_the_default_encoder_is_used_for_its_own_files_alone(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(name: str) -> FakeEncoder:
        loaded.append(name)
        return FakeEncoder(encoders.DEFAULT_NAME)

    monkeypatch.setattr("mvdb.integrations.llm.llm_plugin._load", load)
    plugin.Mvdb(str(file)).search("ferry")
    assert loaded == []
    own = tmp_path / "own.mvdb"
    with mvdb.open(own, encoder=FakeEncoder(encoders.DEFAULT_NAME)) as db:
        db.insert(["a", "b"], texts=["one text", "two"])
    assert len(json.loads(plugin.Mvdb(str(own)).search("text"))) == 2
    assert loaded == [encoders.DEFAULT_NAME]

    def missing(name: str) -> FakeEncoder:
        raise ImportError(name)

    monkeypatch.setattr("mvdb.integrations.llm.llm_plugin._load", missing)
    assert len(json.loads(plugin.Mvdb(str(own)).search("text"))) == 1


def test_found_documents_are_fragments(file: Path) -> None:
    load = llm.get_fragment_loaders()["mvdb"]
    found = load(f"{file}?bread?")
    assert isinstance(found, list)
    assert {str(one) for one in found} == {"knead the bread dough", "rye bread"}
    assert {one.source for one in found} == {f"mvdb:{file}#dough", f"mvdb:{file}#5"}


@pytest.mark.parametrize("argument", ["notes.mvdb", "notes.mvdb?", "?bread", ""])
def test_a_malformed_fragment_is_named(argument: str) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=r"a path, a question mark and a query"):
        llm.get_fragment_loaders()["mvdb"](argument)


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.mvdb"
    with pytest.raises(mvdb.PathNotFoundError, match=r"none\.mvdb"):
        plugin.Mvdb(str(path)).search("bread")
    assert not path.exists()


def test_the_command_finds_the_plugin(tmp_path: Path) -> None:
    """By the entry point in pyproject.toml, as an installation of mvdb would leave it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = re.search(r"^\[project\.entry-points\.llm\]\n(\w+) = \"([\w.]+)\"$", text, re.MULTILINE)
    assert entry is not None
    installed = tmp_path / "mvdb_entry-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mvdb-entry\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[llm]\n{entry[1]} = {entry[2]}\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "LLM_USER_PATH": str(tmp_path),
        "LLM_LOAD_PLUGINS": "mvdb-entry",
    }
    done = subprocess.run(
        [sys.executable, "-m", "llm", "tools", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "Mvdb" in json.loads(done.stdout)["toolboxes"][0]["name"], done.stderr
