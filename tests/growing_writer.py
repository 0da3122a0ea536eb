"""``python -m tests.growing_writer PATH FIRST``: inserts 3,000 documents into a file whose map is
small at first, and searches after each commit."""

from __future__ import annotations

import sys

import numpy as np

from tests.support.opening import opened
from tests.test_growth import SMALL


def main(path: str, first: int) -> None:
    with opened(path, SMALL, map_size=1 << 20) as db:
        for start in range(first, first + 3000, 100):
            rows = np.random.default_rng(start).standard_normal((100, 20, 64)).astype(np.float32)
            db.insert(list(range(start, start + 100)), rows)
            assert len(db.search(rows[0], 1)) == 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
