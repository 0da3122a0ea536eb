"""What the other engines themselves wrote. Each test needs its engine's package and is left out
where it is not installed; the same readers are tested without them on files of `index_writers`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb import importers
from tests.importers.test_import_plaid import documents, read, same

DIM = 16


def loaded(source: importers.Source, path: Path) -> dict[Any, mvdb.Document]:
    with mvdb.open(path, dim=source.dim, bits=16) as db:
        db.insert_batches(source.batches(), total=source.total)
        return {one.id: one for one in db.documents()}


def test_tensors_of_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from mvdb.importers import torch_tensors

    rng = np.random.default_rng(1)
    arrays = [
        rng.standard_normal((3, 4)).astype(kind) for kind in (np.float16, np.float32, np.float64)
    ]
    arrays += [rng.integers(0, 100, 7).astype(kind) for kind in (np.uint8, np.int32, np.int64)]
    for array in [*arrays, np.empty((0, 4), np.float32), np.float32(3)]:
        tensor = torch.from_numpy(np.asarray(array))
        torch.save(tensor, tmp_path / "t.pt")
        found = torch_tensors.load(tmp_path / "t.pt")
        assert np.array_equal(found, array)
        assert found.dtype == array.dtype
    pair = torch.arange(3), torch.arange(12.0).reshape(3, 4)[1:]
    torch.save(pair, tmp_path / "t.pt")
    first, second = torch_tensors.load(tmp_path / "t.pt")
    assert np.array_equal(first, [0, 1, 2])
    assert np.array_equal(second, pair[1].numpy())
    for refused in (torch.ones(3, 4).T, {"a": torch.ones(1)}, torch.nn.Linear(2, 2), [[[[[1]]]]]):
        torch.save(refused, tmp_path / "t.pt")
        with pytest.raises(mvdb.InvalidInputError, match=r"t\.pt"):
            torch_tensors.load(tmp_path / "t.pt")
    torch.save(torch.ones(3), tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(mvdb.InvalidInputError, match=r"since version 1\.6"):
        torch_tensors.load(tmp_path / "t.pt")


@pytest.mark.parametrize("bits", [2, 4])
def test_an_index_of_fast_plaid(bits: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    search = pytest.importorskip("fast_plaid.search")
    given = documents(200)
    index = search.FastPlaid(index=str(tmp_path / "i"), device="cpu")
    index.create([torch.from_numpy(one) for one in given], nbits=bits)
    source = importers.open_source(tmp_path / "i")
    assert (source.kind, source.dim, source.bits, source.total) == ("fast-plaid", DIM, bits, 200)
    found = read(source)
    assert list(found) == list(range(200))
    # The decoded vectors give the scores of fast-plaid itself, which computes in float16.
    queries = np.stack([one[:2] for one in given[:20]])
    ranked = index.search(torch.from_numpy(queries), top_k=5, n_full_scores=200, n_ivf_probe=64)
    for query, hits in zip(queries, ranked, strict=True):
        for number, score in hits:
            expected = (query @ found[number].T).max(axis=1).sum()
            assert score == pytest.approx(expected, abs=0.01)


def test_points_of_qdrant(tmp_path: Path) -> None:
    qdrant = pytest.importorskip("qdrant_client")
    models = qdrant.models
    client = qdrant.QdrantClient(path=str(tmp_path / "q"))
    maxsim = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    cosine = models.Distance.COSINE
    vectors = models.VectorParams(size=DIM, distance=cosine, multivector_config=maxsim)
    single = models.VectorParams(size=2, distance=cosine)
    client.create_collection("docs", vectors_config={"colbert": vectors, "dense": single})
    given = documents(30)
    client.upsert(
        "docs",
        [
            models.PointStruct(
                id=number,
                vector={"colbert": rows.tolist(), "dense": [1, number]},
                payload={"text": f"text {number}", "n": number, "deep": {"a": [None, 1.5]}},
            )
            for number, rows in enumerate(given)
        ],
    )
    client.delete("docs", [3])
    client.upsert("docs", [models.PointStruct(id=4, vector={"dense": [1, 2]}, payload={})])
    client.set_payload("docs", {"n": "changed"}, points=[5])
    client.close()
    source = importers.open_source(tmp_path / "q")
    found = loaded(source, tmp_path / "n.mvdb")
    assert set(found) == set(range(30)) - {3, 4}
    assert source.skipped == 1
    assert found[7].text == "text 7"
    assert found[7].metadata == {"n": 7, "deep": {"a": [None, 1.5]}}
    assert found[5].metadata is not None
    assert found[5].metadata["n"] == "changed"
    with mvdb.open(tmp_path / "n.mvdb") as db:
        np.testing.assert_allclose(db.vectors(7)[0], given[7], atol=1e-3)


def test_a_collection_of_chroma(tmp_path: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(tmp_path / "c"), settings=settings)
    collection = client.create_collection("notes", embedding_function=None)
    client.create_collection("other", embedding_function=None)
    count = 1300
    ids = [f"id {i}" for i in range(count)]
    metadata = [{"n": i, "x": i / 2, "even": i % 2 == 0, "s": "é"} for i in range(count)]
    texts = [f"text {i}" for i in range(count)]
    vectors = np.random.default_rng(0).standard_normal((count, 3)).tolist()
    collection.add(ids, embeddings=vectors, documents=texts, metadatas=metadata)
    collection.add(["without"], embeddings=[[1.0, 2.0, 3.0]])
    collection.delete(["id 5"])
    collection.update(["id 6"], documents=["changed"], embeddings=[[1.0, 2.0, 3.0]])
    with pytest.raises(mvdb.InvalidInputError, match="notes, other"):
        importers.open_source(tmp_path / "c")
    source = importers.open_source(tmp_path / "c", table="notes")
    assert source.total == count
    found = {}
    for batch in source.batches():
        rows = zip(batch["ids"], batch["texts"], batch["metadata"], strict=True)
        found.update({id: (text, fields) for id, text, fields in rows})
    expected = dict(zip(ids, zip(texts, metadata, strict=True), strict=True))
    del expected["id 5"]
    expected["id 6"] = ("changed", metadata[6])
    assert found == expected
    assert source.skipped == 1


def test_a_table_of_lancedb(tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    arrow = pytest.importorskip("pyarrow")
    given = documents(700)
    kind = arrow.list_(arrow.list_(arrow.float32(), DIM))
    table = arrow.table(
        {
            "id": arrow.array(range(700), arrow.int64()),
            "vector": arrow.array([rows.tolist() for rows in given], kind),
            "text": [f"text {i}" for i in range(700)],
            "when": [datetime.datetime(2020, 1, 1 + i % 28) for i in range(700)],
        }
    )
    made = lancedb.connect(str(tmp_path / "l")).create_table("docs", table)
    made.delete("id = 5")
    for path in (tmp_path / "l", tmp_path / "l" / "docs.lance"):
        source = importers.open_source(path)
        assert (source.kind, source.dim, source.total) == ("lancedb", DIM, 699)
    found = loaded(source, tmp_path / "n.mvdb")
    assert set(found) == set(range(700)) - {5}
    assert found[9].text == "text 9"
    assert found[9].metadata is not None
    assert str(found[9].metadata["when"]).startswith("2020-01-10")
    with mvdb.open(tmp_path / "n.mvdb") as db:
        np.testing.assert_allclose(db.vectors(699)[0], given[699], atol=1e-3)
    with pytest.raises(mvdb.InvalidInputError, match="docs"):
        importers.open_source(tmp_path / "l", table="nothing")
    for file in (tmp_path / "l" / "docs.lance").rglob("*.lance"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(mvdb.InvalidInputError, match="docs"):
        list(importers.open_source(tmp_path / "l").batches())


def test_a_data_set_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    given = documents(50)
    columns = {
        "id": [f"d{i}" for i in range(50)],
        "embeddings": [rows.tolist() for rows in given],
        "text": [f"text {i}" for i in range(50)],
        "label": list(range(50)),
    }
    whole = datasets.Dataset.from_dict(columns)
    whole.filter(lambda row: row["label"] % 2 == 0).save_to_disk(tmp_path / "one", num_shards=3)
    source = importers.open_source(tmp_path / "one")
    assert (source.kind, source.dim) == ("datasets", DIM)
    found = loaded(source, tmp_path / "n.mvdb")
    assert list(found) == sorted(f"d{i}" for i in range(0, 50, 2))
    assert found["d8"].metadata == {"label": 8}
    whole.train_test_split(0.2, seed=1).save_to_disk(tmp_path / "two")
    assert len(loaded(importers.open_source(tmp_path / "two", table="test"), tmp_path / "m")) == 10
    features = datasets.Features(
        {"id": datasets.Value("int64"), "embeddings": datasets.Array2D((None, DIM), "float32")}
    )
    square = {"id": [1, 2], "embeddings": [given[0].tolist(), given[1].tolist()]}
    datasets.Dataset.from_dict(square, features=features).save_to_disk(tmp_path / "three")
    assert set(loaded(importers.open_source(tmp_path / "three"), tmp_path / "o")) == {1, 2}


def test_an_index_of_pylate(tmp_path: Path) -> None:
    indexes = pytest.importorskip("pylate.indexes")
    given = documents(60)
    index = indexes.PLAID(index_folder=str(tmp_path), index_name="i", override=True, device="cpu")
    index.add_documents([f"d{i}" for i in range(60)], given)
    index.remove_documents(["d3", "d9"])
    source = importers.open_source(tmp_path / "i")
    found = read(source)
    assert source.kind == "fast-plaid"
    assert set(found) == {f"d{i}" for i in range(60)} - {"d3", "d9"}
    for number in (0, 4, 59):
        similar = (found[f"d{number}"] * given[number]).sum(axis=1)
        assert similar.min() > 0.9


def test_the_ids_of_sqlitedict(tmp_path: Path) -> None:
    sqlitedict = pytest.importorskip("sqlitedict")
    from tests.importers.index_writers import Plaid, write_colbert

    index = Plaid(documents(4))
    folder = write_colbert(tmp_path / "i", index)
    name = folder / "plaid_ids_to_documents_ids.sqlite"
    with sqlitedict.SqliteDict(str(name), outer_stack=False) as ids:
        ids.update({0: "a", 1: 5, 3: "é"})
        ids.commit()
    decoded = index.decoded()
    same(read(importers.open_source(folder)), {"a": decoded[0], 5: decoded[1], "é": decoded[3]})
