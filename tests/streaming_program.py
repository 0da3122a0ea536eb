"""Programs of the tests of streams: ``python -m tests.streaming_program NAME FILE [SOURCE]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import mvdb
from tests.support.patience import FOR_EVER


def killed(path: str) -> None:
    """Prints the number of documents after each commit; the stream stalls after 160 documents."""
    from tests.test_streaming import batches

    def source() -> Iterator[dict[str, Any]]:
        for each in batches(0, 200, 10):
            yield each
            if each["ids"][0] == 150:
                time.sleep(FOR_EVER)

    with mvdb.open(path, dim=8) as db:
        db.insert_batches(source(), commit_every=20, progress=lambda done: print(done, flush=True))


def killed_reading(path: str, source: str) -> None:
    """The same of a Parquet file; stalls after the commit of 40 documents."""

    def tell(done: int) -> None:
        print(done, flush=True)
        if done >= 40:
            time.sleep(FOR_EVER)

    with mvdb.open(path, dim=8) as db:
        db.insert_batches(source, commit_every=10, progress=tell)


def without_pyarrow(path: str) -> None:
    """Inserts a stream that is no Arrow data."""
    from tests.test_streaming import batches

    with mvdb.open(path, dim=8) as db:
        db.insert_batches(batches(0, 20, 10), progress=lambda done: None)
    assert "pyarrow" not in sys.modules


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
