"""Processes that end at random moments while threads of the library are at work.

    python -m tests.threads.exits --exits 500 --jobs 2

Each must end with status 0, in bounded time, with nothing on standard error, and leave a closed
file that holds what was committed."""

from __future__ import annotations

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mvdb
from mvdb.limits import Limits
from tests.index.files import DIM, check, fill, query_for
from tests.support.children import run_program
from tests.support.opening import opened
from tests.support.patience import PATIENCE

KINDS = ("open", "several", "transaction", "thread", "optimize")
LIMITS = Limits(
    train_documents=100,
    listed_tokens=300,
    cluster_documents=8,
    base_tokens=64,
    fanout=3,
    commit_tokens=100,
    step_bytes=200,
    chunk_bytes=4000,
    growth=1.6,
    extended_at_once=0,
    yield_seconds=0.00001,
)


class Broken(Exception):
    """A process did not end as it should."""


# ---- the process that ends ----


def work(path: str, kind: str, seconds: float) -> None:
    """Commits for so many seconds, and returns with everything open. Prints how many documents
    there are: 120 and then one commit after the other of 10."""
    if kind == "several":
        for number in range(3):
            other = opened(f"{path}.{number}", LIMITS, dim=DIM, prefetch="read")
            fill(other, 150, commits=15)
            keep.append(other)
            other.search(query_for(1), 20, exact=True)
    db = opened(path, LIMITS, dim=DIM, durability="relaxed")
    fill(db, 120)
    end, count = time.monotonic() + seconds, 120
    while time.monotonic() < end:
        fill(db, 10, first=count)
        count += 10
    if kind == "transaction":
        db.transaction().delete(list(range(50)))
    if kind == "thread":
        threading.Thread(target=fill, args=(db, 30), kwargs={"first": count, "commits": 3}).start()
        count += 30
    if kind == "optimize":
        threading.Thread(target=db.optimize).start()
    print(count, flush=True)
    keep.append(db)


keep: list[mvdb.Database] = []
"""A database that is still open when the interpreter takes modules apart."""


# ---- those who watch ----


def end_once(folder: Path, number: int, kind: str, seconds: float) -> None:
    """One process; `Broken` says what is wrong with its end."""
    path = folder / f"{number}.mvdb"
    what = f"exit {number}, {kind} after {seconds:.3f} s"
    try:
        done = run_program("tests.threads.exits", "--child", path, kind, seconds, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Broken(f"{what}: does not end") from None
    if done.returncode or done.stderr:
        raise Broken(f"{what}: status {done.returncode}, {done.stderr}")
    if Path(f"{path}-lock").exists():
        raise Broken(f"{what}: the file was not closed")
    with mvdb.open(path, background=False) as db:
        report = db.verify()
        if not report.ok:
            raise Broken(f"{what}: {report.problems}")
        check(db, dict.fromkeys(range(int(done.stdout)), 0))
    for file in folder.glob(f"{number}.mvdb*"):
        file.unlink()


def run(folder: Path, exits: int, jobs: int, seed: int, longest: float = 0.5) -> list[str]:
    """So many processes of all kinds; what was wrong."""
    rng = random.Random(seed)
    plan = [
        (number, kind, rng.uniform(0, longest))
        for number, kind in zip(range(exits), itertools.cycle(KINDS), strict=False)
    ]

    def one(entry: tuple[int, str, float]) -> str | None:
        try:
            end_once(folder, *entry)
        except Exception as error:
            print(f"BROKEN: {error}", flush=True)
            return str(error)
        return None

    with ThreadPoolExecutor(jobs) as executor:
        return [problem for problem in executor.map(one, plan) if problem is not None]


def main() -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--exits", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--child", nargs=3, metavar=("PATH", "KIND", "SECONDS"))
    options = parser.parse_args()
    if options.child:
        work(options.child[0], options.child[1], float(options.child[2]))
        return 0
    begin = time.monotonic()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mvdb-exits-") as folder:
        problems = run(Path(folder), options.exits, options.jobs, options.seed)
    print(f"{len(problems)} of {options.exits} broken, {time.monotonic() - begin:.0f} s")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
