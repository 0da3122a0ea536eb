"""P3 and P8 at the level of the database: every write, sync, link and rename of a history of
inserts, replacement, training, merging, compaction and backup fails once (EIO, ENOSPC), or kills.

Needs strace, which injects the failures; skipped where there is none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import mvdb
from tests.faults import steps
from tests.support.model import Model, check_content
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
STRACE = shutil.which("strace")
WORKERS = 2 * (os.cpu_count() or 1)
CALLS = ("writev", "pwrite64", "fdatasync", "fsync", "rename", "link")
MOST = 40
"""More calls of one kind than the history makes."""


def _strace_works() -> bool:
    if STRACE is None:
        return False
    command = [STRACE, "-f", "--seccomp-bpf", "-e", "inject=sync:error=EIO", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _strace_works(), reason="needs strace, and leave to use it")


@dataclass(frozen=True)
class Run:
    """One history with one injected failure: what the child said, and whether it was injected."""

    what: str
    events: list[dict[str, object]]
    injected: bool
    path: Path


def perform(folder: Path, source: Path, what: str) -> Run:
    """Runs the history on a copy of `source`, under strace."""
    folder.mkdir()
    path = folder / "faulty.mvdb"
    shutil.copy(source, path)
    trace = folder / "trace"
    call = what.split(":")[0]
    command = [str(STRACE), "-f", "-qq", "-o", str(trace)]
    if "error=" in what:
        command.append("--seccomp-bpf")  # faster, but with it no signals are sent
    command += ["-e", f"trace={call}", "-e", f"inject={what}"]
    command += [sys.executable, "-m", "tests.faults.steps", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if "SIGKILL" in what:
        injected = done.returncode in (-9, 137)
        assert injected or done.returncode == 0, f"{what}: {done.stderr.decode()}"
    else:
        injected = "(INJECTED)" in trace.read_text()
        assert done.returncode == 0, f"{what}: {done.stderr.decode()}"
    return Run(what, events, injected, path)


def judge(run: Run, content: list[Model]) -> None:
    """The file is in the last state that was acknowledged, or the one in flight; nothing wrong was
    seen by the child; the file can be written again."""
    wrong = [event for event in run.events if "wrong" in event]
    assert not wrong, (run.what, wrong)
    begun = max((int(str(event["begin"])) for event in run.events if "begin" in event), default=0)
    done = max((int(str(event["done"])) for event in run.events if "done" in event), default=0)
    options = [content[done]] if begun == done else [content[done], content[begun]]
    with mvdb.open(run.path) as db:
        report = db.verify()
        assert report.ok, (run.what, report.problems)
        assert any(steps.same(db, model) for model in options), f"{run.what}: lost or half"
        db.upsert("later", content[0][0].vectors)
        assert "later" in db
    copy = run.path.with_name("copy")
    if copy.exists():
        with mvdb.open(copy, readonly=True) as db:
            check_content(db, content[-1], steps.BITS)


def every(tmp_path: Path, call: str, failure: str) -> list[Run]:
    """A run for each call of this kind that the history makes."""
    source = tmp_path / "source.mvdb"
    steps.prepare(source)
    content = steps.states()
    runs: list[Run] = []

    def one(number: int) -> Run:
        what = f"{call}:{failure}:when={number}"
        run = perform(tmp_path / f"{call}-{number}", source, what)
        judge(run, content)
        return run

    with ThreadPoolExecutor(WORKERS) as executor:
        for first in range(1, MOST, WORKERS):
            batch = list(executor.map(one, range(first, first + WORKERS)))
            runs += [run for run in batch if run.injected]
            if len([run for run in batch if run.injected]) < WORKERS:
                break
    return runs


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", CALLS)
def test_each_call_fails_once(tmp_path: Path, call: str, error: str) -> None:
    """P8: the caller is told; nothing acknowledged is lost; a handle whose durability is in doubt
    refuses writes and says so; the file opens in the last good state and can be written."""
    runs = every(tmp_path, call, f"error={error}")
    told = [event for run in runs for event in run.events if "failed" in event]
    print(f"{call} {error}: {len(runs)} injected, told:")
    for event in told:
        print("   ", event)
    assert runs, f"the history makes no {call}"
    if call in ("writev", "pwrite64", "fdatasync"):
        assert len(told) >= len(runs) - 1, "a failed commit looked like a good one"
        assert all(event["ours"] for event in told)


@pytest.mark.parametrize("call", CALLS)
def test_each_call_kills_once(tmp_path: Path, call: str) -> None:
    """P3, exactly: SIGKILL at each write, sync, link and rename."""
    runs = every(tmp_path, call, "signal=SIGKILL")
    print(f"{call}: {len(runs)} kills")
    assert runs, f"the history makes no {call}"
    assert not any("closed" in event for run in runs[:-1] for event in run.events)
