"""Other processes of the tests: modules run as programs, and forked children."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: object) -> list[str]:
    """The command line of a module of the tests; it needs `ROOT` as present folder or in
    PYTHONPATH."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run_program(
    module: str,
    *arguments: object,
    cwd: Path = ROOT,
    timeout: float = PATIENCE,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Runs a module of the tests to its end. `variables`: of its environment."""
    return subprocess.run(
        command(module, *arguments),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def kill_after_commits(module: str, commits: int, *arguments: object) -> int:
    """Runs a module that prints the number of documents after each commit, and kills it after
    `commits` lines (SIGKILL; TerminateProcess on Windows). Returns the last number it printed."""
    process = subprocess.Popen(
        command(module, *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(commits)]
    finally:
        process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) != 0, "it had ended before it was killed"
    return int([line for line in lines if line.endswith("\n")][-1])


def in_child(work: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The result of `work`, as JSON carries it, in a forked child. An exception there, a crash and
    a child that does not end in time fail the test."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                answer = json.dumps({"result": work()})
            except BaseException:
                answer = json.dumps({"error": traceback.format_exc()})
            with os.fdopen(sender, "w") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(sender)
    said = b""
    try:
        while select.select([receiver], [], [], seconds)[0] and (part := os.read(receiver, 65536)):
            said += part
    finally:
        os.close(receiver)
        if not said.endswith(b"}"):  # it crashed, or has nothing to say in time
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, f"the child ended with {status}"
    told = json.loads(said)
    assert "error" not in told, told["error"]
    return told["result"]
