"""Indexes of fast-plaid and ColBERT: every document with its number or id and decoded vectors."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb import importers
from mvdb.importers.source import BATCH_BYTES
from tests.importers.index_writers import (
    Floats,
    Plaid,
    write_archive,
    write_colbert,
    write_fast_plaid,
    write_pylate_ids,
    write_tensors,
)

DIM = 16
WRITERS = [write_fast_plaid, write_colbert]


def documents(count: int = 10) -> list[Floats]:
    rng = np.random.default_rng(count)
    some = [rng.standard_normal((2 + i % 5, DIM)) for i in range(count)]
    return [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in some]


def read(source: importers.Source) -> dict[Any, Floats]:
    """The vectors of all documents by id."""
    found: dict[Any, Floats] = {}
    for batch in source.batches():
        flat, lengths = batch["embeddings"]
        parts = np.split(flat, np.cumsum(lengths)[:-1])
        found.update(zip(batch["ids"], parts, strict=True))
    return found


def same(found: dict[Any, Floats], expected: dict[Any, Floats]) -> None:
    assert list(found) == list(expected)
    for id, rows in expected.items():
        np.testing.assert_allclose(found[id], rows, atol=2e-6)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_vectors_are_decoded(write: Callable[..., Path], bits: int, tmp_path: Path) -> None:
    index = Plaid(documents(), bits)
    source = importers.open_source(write(tmp_path / "i", index))
    assert (source.dim, source.bits) == (DIM, bits)
    same(read(source), dict(enumerate(index.decoded())))


def test_the_merged_files_of_fast_plaid(tmp_path: Path) -> None:
    index = Plaid(documents())
    folder = write_fast_plaid(tmp_path / "i", index, merged=True)
    same(read(importers.open_source(folder)), dict(enumerate(index.decoded())))
    # A chunk that was changed since has files of its own, and those count.
    np.save(folder / "1.codes.npy", np.roll(index.chunks(3)[1][1], 1))
    np.save(folder / "1.residuals.npy", index.chunks(3)[1][2])
    changed = read(importers.open_source(folder))
    assert not np.allclose(changed[4], index.decoded()[4], atol=1e-3)
    np.testing.assert_allclose(changed[6], index.decoded()[6], atol=2e-6)


@pytest.mark.parametrize("pickled", [True, False], ids=["pickle", "sqlite"])
@pytest.mark.parametrize("write", WRITERS)
def test_the_ids_of_pylate(write: Callable[..., Path], pickled: bool, tmp_path: Path) -> None:
    index = Plaid(documents(7))
    ids = {0: "a", 1: "ü", 3: 12, 4: "b" * 300, 5: "c", 6: "d"}  # 2 was removed
    if write is write_fast_plaid:
        write(tmp_path / "i" / "fast_plaid_index", index)
    else:
        write(tmp_path / "i", index)
    write_pylate_ids(tmp_path / "i", ids, pickled=pickled)
    source = importers.open_source(tmp_path / "i")
    decoded = index.decoded()
    same(read(source), {id: decoded[number] for number, id in ids.items()})
    assert source.skipped == 1


@pytest.mark.parametrize("pickled", [True, False], ids=["pickle", "sqlite"])
def test_ids_that_ask_for_code_are_refused(pickled: bool, tmp_path: Path) -> None:
    folder = write_colbert(tmp_path / "i", Plaid(documents(4)))
    write_pylate_ids(folder, {0: "a", 1: Path("x")}, pickled=pickled)
    with pytest.raises(mvdb.InvalidInputError, match=r"documents_ids\..*passage 1"):
        list(importers.open_source(folder).batches())


def test_the_metadata_of_fast_plaid(tmp_path: Path) -> None:
    folder = write_fast_plaid(tmp_path / "i", Plaid(documents(7)))
    with closing(sqlite3.connect(folder / "metadata.db")) as database:
        columns = '"_subset_" INTEGER PRIMARY KEY, "name" TEXT, "age" INTEGER, "x" REAL, "raw" BLOB'
        database.execute(f"CREATE TABLE METADATA ({columns})")
        rows = [(0, "Alice", 30, 5.5, b"x"), (2, None, 7, None, None), (3, None, None, None, None)]
        database.executemany("INSERT INTO METADATA VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    found: dict[int, Any] = {}
    for batch in importers.open_source(folder).batches():
        found.update(zip(batch["ids"], batch["metadata"], strict=True))
    assert found.pop(0) == {"name": "Alice", "age": 30, "x": 5.5}
    assert found.pop(2) == {"age": 7}
    assert found == dict.fromkeys([1, 3, 4, 5, 6])
    (folder / "metadata.db").write_bytes(b"x" * 5000)
    with pytest.raises(mvdb.InvalidInputError, match=r"metadata\.db"):
        importers.open_source(folder)


def test_documents_without_tokens_are_left_out(tmp_path: Path) -> None:
    given = documents(5)
    index = Plaid(given)
    folder = write_fast_plaid(tmp_path / "i", index, documents=5)
    lengths = [*index.lengths[:2], 0, *index.lengths[2:], 0]
    (folder / "doclens.0.json").write_text(json.dumps(lengths))
    source = importers.open_source(folder)
    decoded = index.decoded()
    same(read(source), dict(zip([0, 1, 3, 4, 5], decoded, strict=True)))
    assert source.skipped == 2


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Plaid(documents(30))
    folder = write_fast_plaid(tmp_path / "i", index, documents=30)
    monkeypatch.setattr("mvdb.importers.plaid_codec.BATCH_BYTES", 4 * DIM * 8)
    source = importers.open_source(folder)
    assert max(len(batch["embeddings"][0]) for batch in source.batches()) <= 8
    same(read(source), dict(enumerate(index.decoded())))


def test_memory_does_not_grow_with_the_index(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens, dim, length = 600_000, 64, 20
    folder = write_fast_plaid(tmp_path / "i", Plaid(documents(2)), documents=2)
    np.save(folder / "centroids.npy", rng.standard_normal((512, dim)).astype(np.float16))
    np.save(folder / "0.codes.npy", rng.integers(0, 512, tokens))
    np.save(folder / "0.residuals.npy", rng.integers(0, 256, (tokens, dim // 2), dtype=np.uint8))
    (folder / "doclens.0.json").write_text(json.dumps([length] * (tokens // length)))
    source = importers.open_source(folder)
    tracemalloc.start()
    try:
        count = sum(len(batch["ids"]) for batch in source.batches())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == tokens // length
    whole = tokens * dim * 4
    assert peak < 5 * BATCH_BYTES < whole * 0.6


def test_an_imported_index_is_searched(tmp_path: Path) -> None:
    index = Plaid(documents(40), centroids=32)
    source = importers.open_source(write_colbert(tmp_path / "i", index))
    decoded = index.decoded()
    with mvdb.open(tmp_path / "n.mvdb", dim=source.dim, bits=16) as db:
        assert db.insert_batches(source.batches(), total=source.total) == 40
        for number in (0, 17, 39):
            assert db.search(decoded[number], k=1)[0].id == number
        assert db.insert_batches(source.batches()) == 0  # the same again


FAST_PLAID_FILES = [
    "metadata.json", "centroids.npy", "bucket_weights.npy", "doclens.1.json", "1.codes.npy",
    "1.residuals.npy",
]  # fmt: skip
COLBERT_FILES = [
    "metadata.json", "centroids.pt", "buckets.pt", "doclens.1.json", "1.codes.pt", "1.residuals.pt"
]  # fmt: skip


@pytest.mark.parametrize(
    ("write", "name"),
    [
        *((write_fast_plaid, name) for name in FAST_PLAID_FILES),
        *((write_colbert, name) for name in COLBERT_FILES),
    ],
)
def test_a_missing_file_is_named_before_anything_is_read(
    write: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "i", Plaid(documents()))
    (folder / name).unlink()
    with pytest.raises(mvdb.PathNotFoundError) as caught:
        importers.open_source(folder)
    assert str(folder / name) in str(caught.value)
    assert "incomplete" in str(caught.value)


@pytest.mark.parametrize(("write", "ending"), [(write_fast_plaid, "npy"), (write_colbert, "pt")])
def test_damage_is_one_error_that_names_the_file(
    write: Callable[..., Path], ending: str, tmp_path: Path
) -> None:
    names = [f"{n}.{part}.{ending}" for n in (0, 1) for part in ("codes", "residuals")]
    names += ["metadata.json", "doclens.0.json", f"centroids.{ending}"]
    for name in names:
        folder = write(tmp_path / name, Plaid(documents()))
        whole = (folder / name).read_bytes()
        for size in {0, 1, 5, len(whole) // 2, len(whole) - 1}:
            (folder / name).write_bytes(whole[:size])
            with pytest.raises(mvdb.Error) as caught:
                read(importers.open_source(folder))
            assert str(folder) in str(caught.value)
        (folder / name).write_bytes(b"x" * len(whole))
        with pytest.raises(mvdb.Error):
            read(importers.open_source(folder))


@pytest.mark.parametrize("write", WRITERS)
def test_flipped_bytes_give_an_error_or_documents(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    """Never another exception, and never vectors that are not finite."""
    rng = np.random.default_rng(5)
    folder = write(tmp_path / "i", Plaid(documents(6)))
    files = sorted(folder.iterdir())
    for _ in range(300):
        path = files[rng.integers(len(files))]
        whole = path.read_bytes()
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        path.write_bytes(raw)
        try:
            for rows in read(importers.open_source(folder)).values():
                assert np.isfinite(rows).all()
        except mvdb.Error:
            pass
        path.write_bytes(whole)


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def broken(change: Callable[[Path], object], *parts: str) -> None:
        number = len(list(tmp_path.iterdir()))
        folder = write_fast_plaid(tmp_path / str(number), Plaid(documents()))
        change(folder)
        with pytest.raises(mvdb.InvalidInputError) as caught:
            read(importers.open_source(folder))
        for part in parts:
            assert part in str(caught.value)

    broken(lambda f: np.save(f / "centroids.npy", np.ones(4, np.float32)), "centroids")
    broken(lambda f: np.save(f / "centroids.npy", np.full((8, DIM), np.nan)), "finite")
    broken(lambda f: np.save(f / "bucket_weights.npy", np.ones(4, np.float32)), "bucket weights")
    broken(lambda f: np.save(f / "0.codes.npy", np.full(9, 8)), "0.codes.npy", "no centroid")
    broken(lambda f: np.save(f / "0.codes.npy", np.full(9, -1)), "0.codes.npy", "no centroid")
    broken(lambda f: np.save(f / "0.codes.npy", np.zeros(10, int)), "0.codes.npy", "(9,)")
    broken(lambda f: np.save(f / "0.codes.npy", np.zeros(9)), "0.codes.npy", "float64")
    broken(lambda f: (f / "doclens.0.json").write_text("[1, -2]"), "doclens.0.json")
    broken(lambda f: (f / "doclens.0.json").write_text("{}"), "doclens.0.json")
    objects = np.array([print] * 9, dtype=object)
    broken(lambda f: np.save(f / "0.codes.npy", objects, allow_pickle=True), "0.codes.npy")
    big = '{"num_chunks": 1e9, "nbits": 4}'
    broken(lambda f: (f / "metadata.json").write_text(big), "metadata.json", "num_chunks")


def test_sizes_are_compared_with_the_file_before_memory_is_reserved(tmp_path: Path) -> None:
    folder = write_fast_plaid(tmp_path / "i", Plaid(documents()))
    raw = bytearray((folder / "centroids.npy").read_bytes())
    place = raw.index(b"(8, 16)")
    raw[place : place + 26] = b"(8000000000, 1600000000), "[:26].ljust(26)
    (folder / "centroids.npy").write_bytes(raw)
    with pytest.raises(mvdb.InvalidInputError, match=r"centroids\.npy"):
        importers.open_source(folder)


def test_torch_files_that_ask_for_code_are_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    call = b"\x80\x02cposix\nsystem\n(X" + b"%s" + b"tR."
    command = f"touch {marker}".encode()
    raw = call.replace(b"%s", len(command).to_bytes(4, "little") + command)
    folder = write_colbert(tmp_path / "i", Plaid(documents()))
    write_archive(folder / "centroids.pt", raw, [])
    with pytest.raises(mvdb.InvalidInputError, match=r"centroids\.pt.*posix\.system"):
        importers.open_source(folder)
    (folder / "centroids.pt").write_bytes(raw)  # the form before zip archives
    with pytest.raises(mvdb.InvalidInputError, match=r"centroids\.pt"):
        importers.open_source(folder)
    assert not marker.exists()


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    folder = write_colbert(tmp_path / "i", Plaid(documents()))
    zeros = np.zeros((1 << 16, DIM), np.float32)
    write_tensors(folder / "centroids.pt", zeros, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(mvdb.InvalidInputError, match="compressed"):
        importers.open_source(folder)


def test_texts_of_a_file_beside_the_index(tmp_path: Path) -> None:
    index = Plaid(documents(5))
    folder = write_colbert(tmp_path / "i", index)
    tsv = tmp_path / "collection.tsv"
    tsv.write_text("4\tfive\n0\tone\tTitle\n1\ttwo\n")
    source = importers.with_texts(importers.open_source(folder), tsv)
    with mvdb.open(tmp_path / "n.mvdb", dim=DIM) as db:
        db.insert_batches(source.batches())
        found = {one.id: (one.text, one.metadata) for one in db.documents()}
    assert found == {
        0: ("one", {"title": "Title"}),
        1: ("two", None),
        2: (None, None),
        3: (None, None),
        4: ("five", None),
    }
    write_pylate_ids(folder, dict(enumerate("abcde")))
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"_id": "c", "text": "C", "title": "t"}\n{"id": "a", "text": "A"}\n')
    joined = importers.with_texts(importers.open_source(folder), lines)
    (batch,) = [batch for chunk in [list(joined.batches())] for batch in chunk[:1]]
    assert batch["texts"] == ["A", None, "C"]
    assert batch["metadata"] == [None, None, {"title": "t"}]
    tsv.write_text("4 five\n")
    bad = importers.with_texts(importers.open_source(folder), tsv)
    with pytest.raises(mvdb.InvalidInputError, match="line 1"):
        list(bad.batches())
