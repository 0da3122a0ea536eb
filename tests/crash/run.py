"""The long form of the crash tests.

    python -m tests.crash.run --kills 20000            # about 0.3 s a kill and process
    python -m tests.crash.run --kills 20000 --jobs 8 --seed 1 --folder /mnt/disk

Each job works on files of its own: random inserts, upserts, deletes, large transactions, training,
merging, growing centroids, compaction in place, rollbacks; killed at random moments; 12 kills a
file; with another handle and a snapshot open in 40 % of the rounds. One in twenty rounds kills a
creation, a compaction, a backup or maintenance. Ends with exit code 1 at the first broken promise,
leaves that file where it is and prints the seed that repeats it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import mvdb
from tests.crash import rounds


def run(folder: Path, kills: int, seed: int) -> Counter[str]:
    """So many kills in this process, from a seed on."""
    counts: Counter[str] = Counter()
    begin = shown = time.monotonic()
    file = 0
    while counts["kills"] < kills:
        for path in folder.glob(f"crash-{seed + file - 1}.mvdb*"):
            path.unlink()
        rounds.Rounds(folder, seed + file, counts).run(
            min(rounds.KILLS_PER_FILE, kills - counts["kills"])
        )
        if file % 2 == 0 and counts["kills"] < kills:
            _special(folder, seed + file, counts)
        file += 1
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            print(f"{shown - begin:.0f} s: {dict(counts)}", flush=True)
    return counts


def _special(folder: Path, seed: int, counts: Counter[str]) -> None:
    rng = np.random.default_rng([seed, 4])
    rounds.creation_round(folder, seed, rng)
    model = rounds.sample_model(120)
    path = folder / f"filled-{seed}.mvdb"
    with mvdb.open(path, dim=3, bits=4) as db:
        rounds.fill(db, model)
    rounds.compaction_round(path, model, rng, seed)
    rounds.backup_round(path, model, rng, seed)
    _, cut = rounds.maintenance_round(path, 120, rng, background=bool(seed % 2))
    path.unlink()
    counts["kills"] += 4
    counts["creation, compaction, backup, maintenance"] += 4
    counts["merges cut short"] += cut


def main() -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, help="where the files are made")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="mvdb-crash-"))
    print(f"seed {options.seed}, files in {folder}", flush=True)
    if options.jobs > 1:
        share = -(-options.kills // options.jobs)
        jobs = []
        for number in range(options.jobs):
            inside = folder / str(number)
            inside.mkdir(parents=True, exist_ok=True)
            arguments = ("--kills", share, "--seed", options.seed + 1_000_000 * number)
            command = [sys.executable, "-m", "tests.crash.run", *map(str, arguments)]
            jobs.append(subprocess.Popen([*command, "--folder", str(inside)]))
        statuses = [job.wait() for job in jobs]
        return int(any(statuses))
    begin = time.monotonic()
    try:
        counts = run(folder, options.kills, options.seed)
    except rounds.Bad as error:
        print(f"BROKEN: {error}", flush=True)
        raise
    print(f"good: {dict(counts)} in {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
