"""Makes a database file of the present format, kept for ever as a test of promise P9.

    python -m tests.compat.make_fixture tests/compat/format-1.bin

Run once for each format version, with that version's mvdb; never again for the same version. The
documents are drawn by `documents()`, which must not change either."""

from __future__ import annotations

import sys

import numpy as np

from mvdb.limits import Limits
from tests.support.opening import opened

DIM = 24
COUNT = 120


def documents() -> tuple[list[str | int], list[np.ndarray], list[str], list[dict[str, int]]]:
    """Ids, unit token vectors, texts and metadata, the same on every machine: all numbers come from
    integer arithmetic."""
    state = 12345
    matrices = []
    for i in range(COUNT):
        values = []
        for _ in range((1 + i % 4) * DIM):
            state = (state * 1103515245 + 12345) % (1 << 31)
            values.append((state >> 8) % 2001 - 1000)
        rows = np.array(values, np.float64).reshape(-1, DIM)
        matrices.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    ids: list[str | int] = [i if i % 2 else f"document {i}" for i in range(COUNT)]
    return ids, matrices, [f"text {i}" for i in range(COUNT)], [{"n": i} for i in range(COUNT)]


def main() -> None:
    """Writes the fixture: a trained segment, a second one, and a deleted document."""
    ids, matrices, texts, metadata = documents()
    with opened(sys.argv[1], Limits(train_documents=100), dim=DIM, bits=4) as db:
        for part in (slice(0, 110), slice(110, COUNT)):
            db.insert(ids[part], matrices[part], texts=texts[part], metadata=metadata[part])
        db.delete(ids[7])
        db.compact()


if __name__ == "__main__":
    main()
