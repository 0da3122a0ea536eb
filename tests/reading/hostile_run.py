"""Reads files made to harm, each in a process with limits, and lists the faults:

    python -m tests.reading.hostile_run [--seed 1] [--count 1500] [--large 15728640]
        [--begin 0] [--match TEXT]

Exit code 1 if there is a fault: a crash, an exception but `Unreadable`, a reader's own failure,
more than 10 s of processor time, more than 1 GB of memory."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.reading.hostile_archives import SECRET
from tests.reading.hostile_files import LARGE, write
from tests.reading.limited_reading import Outcome, read_limited

_WORST = 10


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1_500)
    parser.add_argument("--large", type=int, default=LARGE)
    parser.add_argument("--begin", type=int, default=0, help="pass over so many files")
    parser.add_argument("--match", default="", help="of the files' names: read no others")
    options = parser.parse_args()
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in write(Path(folder), options.seed, options.count, options.large):
            if options.match in path.name and int(path.name[:5]) >= options.begin:
                outcomes[path.name] = read_limited(path, SECRET)
                fault = outcomes[path.name].fault
                if fault:
                    print(f"{path.name}: {fault}", flush=True)
            path.unlink()
    faults = sum(bool(one.fault) for one in outcomes.values())
    print(f"{len(outcomes):,} files, {faults} faults;", _counts(outcomes))
    for unit, key in (("s", lambda one: one.seconds), ("MiB", lambda one: one.memory >> 20)):
        worst = sorted(outcomes.items(), key=lambda item: key(item[1]), reverse=True)[:_WORST]
        print(f"most {unit}:", ", ".join(f"{name} {key(one):.1f}" for name, one in worst))
    return 1 if faults else 0


def _counts(outcomes: dict[str, Outcome]) -> str:
    kinds = Counter(one.kind for one in outcomes.values())
    return ", ".join(f"{kind} {number:,}" for kind, number in kinds.most_common())


if __name__ == "__main__":
    sys.exit(main())
