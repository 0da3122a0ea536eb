"""Runs the command line as a user does: as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE

ENCODER = ("--encoder", "words_encoder:make")
WITHOUT_LIBRARIES = "mvdb_without_libraries"
"""The module that runs `mvdb` as if the extra cli were not installed."""
HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass
class Outcome:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`mvdb` in a folder of its own, with the encoder of `words_encoder` at hand."""

    def __init__(self, folder: Path, module: str = "mvdb") -> None:
        self.folder = folder
        self.module = module

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        paths = os.pathsep.join((str(HERE), str(ROOT)))
        return {**os.environ, "PYTHONPATH": paths, "COLUMNS": "80", **(extra or {})}

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments],
            cwd=options.pop("cwd", self.folder),
            env=self.environment(environment),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def __call__(
        self,
        *arguments: str,
        stdin: str | bytes = b"",
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Outcome:
        process = self.start(
            *arguments,
            environment=environment,
            stdin=subprocess.PIPE,
            cwd=cwd or self.folder,
        )
        given = stdin.encode() if isinstance(stdin, str) else stdin
        out, err = process.communicate(given, timeout=PATIENCE)
        return Outcome(process.returncode, out.decode(), err.decode())

    def ok(self, *arguments: str, **options: Any) -> Outcome:
        """Runs a command that must succeed without a word on standard error."""
        outcome = self(*arguments, **options)
        assert (outcome.code, outcome.err) == (0, ""), outcome
        return outcome

    def index(self, *arguments: str, **options: Any) -> Any:
        """Runs ``index`` and returns its summary."""
        return self.ok("index", *arguments, *ENCODER, "--json", **options).json

    def search(self, *arguments: str) -> list[Any]:
        """Runs ``search`` and returns its hits."""
        hits: list[Any] = self.ok("search", *arguments, *ENCODER, "--json").json["hits"]
        return hits

    def export(self, file: str = "n.mvdb") -> list[Any]:
        return [json.loads(line) for line in self.ok("export", file).out.splitlines()]

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


@pytest.fixture
def mvdb_cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def notes(mvdb_cli: CommandLine) -> CommandLine:
    """A folder `notes` with three files, indexed into `n.mvdb`."""
    mvdb_cli.write("notes/fruit.md", "# Fruit\n\nApples are red.\n\nBananas are yellow.\n")
    mvdb_cli.write("notes/sky/sky.txt", "The sky is blue.\n")
    mvdb_cli.write("notes/code.py", 'def peel(banana):\n    """Takes the skin off."""\n')
    mvdb_cli.index("notes", "n.mvdb")
    return mvdb_cli
