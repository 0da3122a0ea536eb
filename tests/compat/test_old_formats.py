"""P9: a file of format N opens in every later version."""

from __future__ import annotations

import mmap
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.storage.format import FORMAT_VERSION
from tests.compat.make_fixture import COUNT, DIM, documents

FIXTURES = sorted(Path(__file__).parent.glob("format-*.bin"))

pytestmark = pytest.mark.skipif(
    sys.byteorder != "little" or mmap.PAGESIZE != 4096,
    reason="the fixtures were made on a little-endian machine with pages of 4096 bytes",
)


def test_each_format_has_a_file() -> None:
    versions = range(1, FORMAT_VERSION + 1)
    assert [path.stem for path in FIXTURES] == [f"format-{version}" for version in versions]


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_fixture_is_read_and_written(fixture: Path, tmp_path: Path) -> None:
    """Everything that went in comes out, and new documents go in."""
    path = tmp_path / "old.mvdb"
    shutil.copy(fixture, path)
    ids, matrices, texts, metadata = documents()
    kept = [i for i in range(COUNT) if i != 7]
    with mvdb.open(path) as db:
        assert db.verify().ok
        assert len(db) == COUNT - 1
        assert set(db.ids()) == {ids[i] for i in kept}
        for i, document in zip(kept, db.get([ids[i] for i in kept]), strict=True):
            assert document is not None
            assert (document.text, document.metadata) == (texts[i], metadata[i])
        for i, stored in zip(kept, db.vectors([ids[i] for i in kept]), strict=True):
            cosines = (stored * matrices[i]).sum(axis=1) / np.linalg.norm(stored, axis=1)
            assert cosines.min() > 0.97
        for i in kept[::10]:
            # A document's own vectors score highest with the document itself.
            assert db.search(matrices[i], k=1)[0].id == ids[i]
        assert [hit.id for hit in db.search(matrices[3], filter={"n": 3})] == [3]
        db.insert("new", np.eye(DIM)[:2])
        assert db.search(np.eye(DIM)[:2], k=1)[0].id == "new"
        assert db.verify().ok
