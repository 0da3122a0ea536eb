"""Other processes, for tests: scripts that talk over pipes and can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

PREAMBLE = """
import os, sys, time
from mvdb import errors
from mvdb.storage.environment import Environment
from tests.support.patience import FOR_EVER, PATIENCE
path = sys.argv[1]
def say(text):
    print(text, flush=True)
def hear():
    return sys.stdin.readline().strip()
"""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _command(script: str, *arguments: object) -> list[str]:
    code = PREAMBLE + textwrap.dedent(script)
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(script: str, *arguments: object, timeout: float = PATIENCE) -> str:
    """Run a script to its end; what it printed. Fails the test if it did not end well."""
    done = subprocess.run(
        _command(script, *arguments),
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


class Child:
    """A script running beside the test. ``say`` in it is `expect` here, ``hear`` is `tell`."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            _command(script, *arguments),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def expect(self, text: str) -> None:
        heard = self.hear()
        assert heard == text, f"expected {text!r}, heard {heard!r}"

    def tell(self, text: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        assert self.process.wait(timeout=PATIENCE) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)
