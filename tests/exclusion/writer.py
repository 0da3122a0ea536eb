"""``python -m tests.exclusion.writer PATH NAME SECONDS``: inserts documents for so long, and prints
those that were committed and the errors that refused some."""

from __future__ import annotations

import sys
import time

import numpy as np

import mvdb


def main(path: str, name: str, seconds: str) -> None:
    end, number = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        try:
            with mvdb.open(path, create=False, background=False) as db:
                while time.monotonic() < end:
                    db.insert(f"{name}{number}", np.eye(2, 16, dtype=np.float32))
                    print("stored", f"{name}{number}", flush=True)
                    number += 1
        except mvdb.Error as error:
            print("refused", type(error).__name__, flush=True)
            time.sleep(0.002)
            number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
