"""``python -m tests.exclusion.reader PATH``: prints the ids, and again after a line of input."""

from __future__ import annotations

import sys

import mvdb


def main(path: str) -> None:
    with mvdb.open(path, readonly=True) as db:
        print(sorted(db.ids()), flush=True)
        sys.stdin.readline()
        print(sorted(db.ids()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
