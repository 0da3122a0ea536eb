"""The long form of the tests with damaged files.

    python -m tests.corrupt.run --flips 1000000 --truncations 100000 --pages 200000 --stale 20000 \\
        --mutations 200000 --jobs 8

About 0.1 s a file and process. Prints what it counted, each bad case as a line that `--case` (as in
``--case trained,flip,17``) repeats, and ends with exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mvdb
from tests.corrupt import examine, pool, specimens
from tests.corrupt.examine import Plan
from tests.corrupt.pool import Case, Examiner, Outcome


def prepare(folder: Path) -> Examiner:
    """Makes the specimens and asks the intact files everything."""
    made = {name: specimens.make(name, folder) for name in specimens.NAMES}
    expected, plans = {}, {}
    for name, specimen in made.items():
        path = folder / f"intact-{name}.mvdb"
        path.write_bytes(specimen.intact)
        with mvdb.open(path) as db:
            assert db.verify().ok
            assert (db.stats().centroids > 0) == (name in ("trained", "listed"))
            assert (db.stats().bytes["lists"] > 0) == (name == "listed")
            assert (db.stats().bytes["order"] > 0) == (name == "listed")
            plans[name] = Plan(tuple(db.ids()), db.dim)
        expected[name] = examine.examine(path, plans[name], readonly=True)
        for question, answer in expected[name].items():
            bad = answer.startswith((examine.ERROR, examine.FOREIGN))
            assert not bad, f"intact file, {question}: {answer}"
    return Examiner(folder, made, expected, plans)


def cases(kind: str, count: int, seed: int) -> Iterator[Case]:
    """Four of seven on the trained specimens."""
    names = itertools.cycle(
        ("trained", "untrained", "listed", "collections", "trained", "float16", "listed")
    )
    return (Case(name, kind, seed + i) for i, name in zip(range(count), names, strict=False))


def show(outcome: Outcome, seconds: float) -> str:
    """What was counted, and the bad cases."""
    lines = [
        f"{seconds:.0f} s: " + ", ".join(f"{k} {v}" for k, v in sorted(outcome.counts.items()))
    ]
    lines += [f"{case.specimen},{case.kind},{case.seed}: {what}" for case, what in outcome.bad[:50]]
    return "\n".join(lines)


def main() -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--flips", type=int, default=0)
    parser.add_argument("--truncations", type=int, default=0)
    parser.add_argument("--pages", type=int, default=0)
    parser.add_argument("--stale", type=int, default=0)
    parser.add_argument("--mutations", type=int, default=0)
    parser.add_argument("--rot", type=int, default=0, help="bits that flip under a clean mark")
    parser.add_argument("--case", help="repeat one case: specimen,kind,seed")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mvdb-corrupt-"))
    examiner = prepare(folder)
    if options.case:
        specimen, kind, seed = options.case.split(",")
        verdict = examiner.run(Case(specimen, kind, int(seed)))
        print(verdict)
        return int(verdict not in ("same", "refused", "answered"))
    print(f"seed {options.seed}, files in {folder}", flush=True)
    kinds = {
        "flip": options.flips,
        "truncate": options.truncations,
        "pages": options.pages,
        "stale": options.stale,
        "mutate": options.mutations,
        "rot": options.rot,
    }
    status = 0
    for kind, count in kinds.items():
        begin = time.monotonic()
        outcome = pool.run(examiner, cases(kind, count, options.seed), options.jobs)
        print(show(outcome, time.monotonic() - begin), flush=True)
        status |= bool(outcome.bad)
    return status


if __name__ == "__main__":
    sys.exit(main())
