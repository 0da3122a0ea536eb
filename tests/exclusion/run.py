"""The long form of the tests of exclusion.

    python -m tests.exclusion.run --rounds 50          # of each way, about 2 s each

Ends with exit code 1 at the first commit that is lost or file that is damaged.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.exclusion import rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    arguments = parser.parse_args()
    for way in rounds.WAYS:
        commits, refused = 0, set()
        with tempfile.TemporaryDirectory() as folder:
            try:
                for _ in range(arguments.rounds):
                    stored, errors = rounds.round_of(way, Path(folder), arguments.seconds)
                    commits += stored
                    refused |= errors
            except rounds.WayNotToBeHadError as error:
                print(error)
                continue
        print(
            f"{way}: {arguments.rounds} rounds, {commits} commits, 0 lost, 0 damaged; "
            f"refusals: {', '.join(sorted(refused))}",
            flush=True,
        )


if __name__ == "__main__":
    main()
