"""--encoder: functions of modules in the working folder, and models without a network."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CommandLine

import mvdb
from mvdb.cli import main
from mvdb.cli.network import is_hub_reachable
from tests.support.patience import PATIENCE

MODULE = """
import numpy as np

class Letters:
    dim, name = 26, "letters"

    def encode_documents(self, texts):
        return [np.eye(26)[[ord(c) - 97 for c in text.lower() if c.isascii() and c.isalpha()]]
                for text in texts]

    encode_queries = encode_documents
"""


def test_a_module_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run as the installed command, whose folder is not on Python's path: unlike python -m mvdb it
    did not find a module beside the notes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ("", str(tmp_path))])
    Path("my_letters.py").write_text(MODULE)
    Path("json.py").write_text("raise AssertionError('an installed module goes first')")
    Path("note.txt").write_text("some words")
    encoder = ("--encoder", "my_letters:Letters")
    assert main(["index", "note.txt", "n.mvdb", *encoder, "-q"]) == 0
    assert main(["search", "n.mvdb", "some", *encoder, "--mode", "dense", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["text"] == "some words"
    with mvdb.open("n.mvdb", readonly=True) as db:
        assert db.stats().encoder == "letters"
    for wrong, reason in (
        ("my_letters:letters", "has no letters; did you mean Letters?"),
        ("no_such_module:make", "No module named 'no_such_module'"),
        ("my_letters:np", "'module' object is not callable"),
        ("os:getcwd", "the result is no encoder"),
    ):
        assert main(["search", "n.mvdb", "some", "--encoder", wrong]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"mvdb: error: --encoder {wrong}: ")
        assert reason in line


LIBRARY = """
import os, sys

class MultiVectorEncoder:
    def __init__(self, model, **options):
        print("a library's own words", file=sys.stderr)
        if os.environ.get("HF_HUB_OFFLINE") != "1":
            raise AssertionError("the hub would be tried again and again")
        raise OSError("couldn't find it in the cached files")
"""


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("model", ["nobody/nothing", "sentence-transformers:nobody/nothing"])
def test_an_unknown_model_without_a_network_fails_at_once(notes: CommandLine, model: str) -> None:
    """The hub's library tried each file of a model five times, with pauses: 114 s."""
    notes.write("sentence_transformers.py", LIBRARY)
    environment = {"HF_ENDPOINT": f"http://127.0.0.1:{closed_port()}", "no_proxy": "127.0.0.1"}
    outcome = notes("search", "n.mvdb", "x", "--encoder", model, environment=environment)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"mvdb: error: --encoder {model}: 127.0.0.1 cannot be reached, and no such model is here: "
        "neither a folder nor one that was downloaded before\n"
    )


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_whether_the_hub_can_be_reached(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening}")
    assert is_hub_reachable(PATIENCE)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    assert not is_hub_reachable(PATIENCE)
    # Behind a proxy, the proxy alone can be reached.
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listening}")
    assert is_hub_reachable(PATIENCE)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port()}")
    assert not is_hub_reachable(PATIENCE)


def test_a_hub_that_does_not_answer_costs_the_time_of_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hang(*arguments: object) -> object:
        time.sleep(PATIENCE)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    started = time.monotonic()
    assert not is_hub_reachable(0.05)
    assert time.monotonic() - started < PATIENCE
