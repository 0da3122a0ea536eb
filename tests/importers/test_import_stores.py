"""Folders of Qdrant's local mode and of Chroma, written by the format's description."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb import importers
from tests.importers.index_writers import write_chroma, write_qdrant

MULTI = {"size": 3, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}}
SINGLE = {"size": 3, "distance": "Cosine", "multivector_config": None}
UUID = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"


def loaded(source: importers.Source, path: Path) -> dict[Any, Any]:
    with mvdb.open(path, dim=source.dim, bits=16) as db:
        db.insert_batches(source.batches(), total=source.total)
        return {one.id: (one.text, one.metadata, one.n_tokens) for one in db.documents()}


def test_points_of_qdrant(tmp_path: Path) -> None:
    payload = {"text": "one", "n": 1, "deep": {"list": [1, None, {"a": 1.5}]}}
    points = [
        (1, [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], payload),
        (UUID, [[1.0, 0.0, 0.0]], None),
        (2, [], {"text": "without vectors"}),
        (1 << 40, [[0.5, 0.25, 0.125]], {"page_content": "two", "text": 5}),
    ]
    source = importers.open_source(write_qdrant(tmp_path / "q", points, MULTI))
    assert (source.dim, source.total) == (3, 4)
    assert loaded(source, tmp_path / "n.mvdb") == {
        1: ("one", {"n": 1, "deep": payload["deep"]}, 2),
        1 << 40: ("two", {"text": 5}, 1),
        UUID: (None, None, 1),
    }
    assert source.skipped == 1


def test_vectors_of_qdrant_by_name(tmp_path: Path) -> None:
    points = [(7, {"a": [[1.0, 0.0, 0.0]], "b": [[0.0, 1.0, 0.0]] * 2, "c": [1.0, 2.0, 3.0]}, {})]
    vectors = {"a": MULTI, "b": MULTI, "c": SINGLE}
    folder = write_qdrant(tmp_path / "q", points, vectors)
    with pytest.raises(mvdb.InvalidInputError, match="'a', 'b'"):
        importers.open_source(folder)
    with pytest.raises(mvdb.InvalidInputError, match="'c'"):
        importers.open_source(folder, vectors="c")
    (batch,) = importers.open_source(folder, vectors="b").batches()
    assert np.array_equal(batch["embeddings"][0], [[0, 1, 0]] * 2)


def test_of_a_point_written_twice_the_last_one_counts(tmp_path: Path) -> None:
    points: list[Any] = [(1, [[1.0, 0.0, 0.0]], {"n": 1}), (1, [[0.0, 1.0, 0.0]], {"n": 2})]
    points += [(i, [[1.0, 0.0, 0.0]], None) for i in range(2, 1200)]
    found = loaded(
        importers.open_source(write_qdrant(tmp_path / "q", points, MULTI)), tmp_path / "n"
    )
    assert len(found) == 1199
    assert found[1] == (None, {"n": 2}, 1)


def test_single_vectors_of_qdrant_give_way_to_texts(tmp_path: Path) -> None:
    points = [(1, [1.0, 2.0, 3.0], {"document": "one"}), (2, [1.0, 2.0, 3.0], {})]
    folder = write_qdrant(tmp_path / "q", points, SINGLE)
    with pytest.raises(mvdb.InvalidInputError, match="encode"):
        importers.open_source(folder)
    source = importers.open_source(folder, encode=True)
    assert list(source.batches()) == [{"ids": [1], "texts": ["one"], "metadata": [None]}]
    assert source.skipped == 1


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def test_points_at_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases: list[tuple[Any, str]] = [
        ([[1.0, 2.0]], "3 dimensions"), ([1.0, 2.0, 3.0], "3 dimensions"), ("x", "3 dimensions"),
        ([[1, 2, 10**400]], "3 dimensions"), (Evil(), "3 dimensions"),
        ([[1.0, 2.0, Evil()]], "3 dimensions"),
        ([[0.0, 1.0, 2.0]] * 2000, "3 dimensions"),  # one row by reference
    ]  # fmt: skip
    for number, (vector, reason) in enumerate(cases):
        folder = write_qdrant(tmp_path / str(number), [(1, vector, None)], MULTI)
        with pytest.raises(mvdb.InvalidInputError, match=reason) as caught:
            list(importers.open_source(folder).batches())
        assert "row 1" in str(caught.value)
    folder = write_qdrant(tmp_path / "payload", [(1, [[1.0, 2.0, 3.0]], {"a": Evil()})], MULTI)
    with mvdb.open(tmp_path / "n.mvdb", dim=3) as db, pytest.raises(mvdb.InvalidInputError):
        db.insert_batches(importers.open_source(folder).batches())
    assert not (tmp_path / "ran").exists()
    path = folder / "collection" / "docs" / "storage.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE points SET point = ?", (b"\x80\x04.",))
        database.commit()
    with pytest.raises(mvdb.InvalidInputError, match=r"storage\.sqlite"):
        list(importers.open_source(folder).batches())
    path.write_bytes(b"x" * 5000)
    with pytest.raises(mvdb.InvalidInputError, match=r"storage\.sqlite"):
        importers.open_source(folder)
    path.unlink()
    with pytest.raises(mvdb.PathNotFoundError, match=r"storage\.sqlite"):
        importers.open_source(folder)


def test_texts_and_metadata_of_chroma(tmp_path: Path) -> None:
    metadata = {"s": "x", "i": 5, "f": 1.5, "yes": True, "no": False, "list": ["a", "b"]}
    records: list[Any] = [("a", "one", metadata), ("b", "two", {}), ("c", None, {"n": 1})]
    source = importers.open_source(write_chroma(tmp_path / "c", records))
    assert (source.dim, source.total) == (None, 3)
    assert list(source.batches()) == [
        {"ids": ["a", "b"], "texts": ["one", "two"], "metadata": [metadata, None]}
    ]
    assert source.skipped == 1


def test_many_records_of_chroma(tmp_path: Path) -> None:
    records = [(f"id {i}", f"text {i}", {"n": i}) for i in range(1201)]
    source = importers.open_source(write_chroma(tmp_path / "c", records))
    batches = list(source.batches())
    assert len(batches) == 3
    assert [id for batch in batches for id in batch["ids"]] == [id for id, _, _ in records]
    assert batches[2]["metadata"][-1] == {"n": 1200}


def test_a_chroma_folder_at_fault(tmp_path: Path) -> None:
    folder = write_chroma(tmp_path / "c", [("a", "one", {})])
    path = folder / "chroma.sqlite3"
    with pytest.raises(mvdb.InvalidInputError, match="notes"):
        importers.open_source(folder, table="other")
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO embeddings_queue VALUES (2, 'persistent://x/c', 'b')")
        database.commit()
    with pytest.raises(mvdb.InvalidInputError, match="1 writes wait"):
        importers.open_source(folder)
    whole = path.read_bytes()
    for raw in (b"x" * 5000, whole[:5000], whole[:100]):
        path.write_bytes(raw)
        with pytest.raises(mvdb.InvalidInputError, match=r"chroma\.sqlite3"):
            list(importers.open_source(folder).batches())
