"""Methods of ``mvdb serve --stdio`` give the results of the methods of the API that they name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.cli.words_encoder import WordsEncoder
from tests.serving.sidecar import ENCODER, Sidecar

TEXTS = {
    "boat": "Caulk the seams before you paint the hull",
    "bread": "Bake the bread before the sun is up",
    "gull": "Gulls follow the ferry for bread \u2028 and fish",
    7: "\u96ea The sun melts the snow",
}
METADATA = [{"year": 2020 + place, "tags": ["x", "y"][: place % 3]} for place in range(len(TEXTS))]
DOCUMENTS = {"ids": list(TEXTS), "texts": list(TEXTS.values()), "metadata": METADATA}


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", **DOCUMENTS)
        yield process
        assert process.end() == []


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One process for all tests that change nothing."""
    with Sidecar(tmp_path_factory.mktemp("reader"), *ENCODER) as process:
        process.call("insert", **DOCUMENTS)
        yield process


def as_json(value: Any) -> Any:
    """A result of the API as it comes through JSON."""
    if isinstance(value, (list, tuple)):
        return [as_json(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return json.loads(json.dumps(value.to_dict() if hasattr(value, "to_dict") else value))


QUERY = WordsEncoder().encode_queries(["paint the boat"])[0]
READS: list[tuple[str, dict[str, Any]]] = [
    ("search", {"query": "bread before sun"}),
    ("search", {"query": "bread", "k": 2, "mode": "lexical", "fields": ["text"]}),
    ("search", {"text": '"the ferry"', "filter": {"year": {"$gte": 2021}}}),
    ("search", {"query": QUERY, "k": 3, "exact": True}),
    ("search", {"query": QUERY, "text": "hull", "lexical_weight": 0.5}),
    ("search_batch", {"queries": ["bread", "snow"], "k": 1}),
    ("search_batch", {"queries": [QUERY, QUERY[:1]], "threads": 1}),
    ("more_like", {"id": 7, "k": 2, "diversity": 0.5}),
    ("rerank", {"query": QUERY, "ids": ["gull", "boat", "none"]}),
    ("explain", {"query": "the hull", "id": "boat"}),
    ("get", {"ids": ["gull", 7, "7"]}),
    ("get", {"ids": "boat"}),
    ("vectors", {"ids": ["boat", 7]}),
    ("count", {}),
    ("count", {"filter": {"tags": "x"}}),
    ("facets", {"field": "tags"}),
    ("facets", {"field": "year", "limit": 2}),
]


@pytest.mark.parametrize(("method", "params"), READS)
def test_reading_methods_answer_as_the_api(
    reader: Sidecar, method: str, params: dict[str, Any]
) -> None:
    sent = {name: as_json(value) for name, value in params.items()}
    answered = reader.call(method, **sent)
    path = reader.folder / "n.mvdb"
    with mvdb.open(path, readonly=True, encoder=WordsEncoder()) as db:
        expected = as_json(getattr(db, method)(**params))
    assert answered == expected
    assert answered or method == "count"


def test_changes_are_those_of_the_api(sidecar: Sidecar) -> None:
    matrix = [[1, 0] * 32, [0, 1] * 32]
    assert sidecar.call("upsert", ids=["v", "w"], embeddings=[matrix, matrix[:1]]) is None
    assert sidecar.call("upsert", ids=9, embeddings=matrix, texts="alone") is None
    assert sidecar.call("update", ids=["v"], metadata={"a": 1}) is None
    assert sidecar.call("update", ids=["v"], metadata={"b": 2}, merge=True) is None
    assert sidecar.call("delete", ids=["boat", "none"]) == 1
    assert sidecar.call("delete", filter={"year": 2021}) == 1
    with mvdb.open(sidecar.folder / "n.mvdb", readonly=True) as db:
        assert set(db.ids()) == {"gull", 7, "v", "w", 9}
        first, second = db.get(["v", 9])
        assert first is not None
        assert second is not None
        assert (first.metadata, first.n_tokens) == ({"a": 1, "b": 2}, 2)
        assert (second.text, second.n_tokens) == ("alone", 2)
        stored = db.vectors("v")[0] @ np.array(matrix, np.float32).T / 32**0.5
    # What was stored is each vector, at unit length and at two bits a dimension.
    assert np.allclose(stored, np.eye(2), atol=0.2)


def test_documents_come_in_pages(reader: Sidecar) -> None:
    first = reader.call("documents", order_by="year", descending=True, limit=3)
    assert [one["id"] for one in first["documents"]] == [7, "gull", "bread"]
    assert first["more"] is True
    after = first["documents"][-1]["id"]
    second = reader.call("documents", order_by="year", descending=True, limit=3, after=after)
    assert second["more"] is False
    assert second["documents"] == [
        {"id": "boat", "text": TEXTS["boat"], "metadata": METADATA[0], "n_tokens": 8}
    ]
    exact = reader.call("documents", limit=4)
    assert (len(exact["documents"]), exact["more"]) == (4, False)
    assert len(reader.call("documents")["documents"]) == 4


def test_a_page_of_long_texts_is_cut(sidecar: Sidecar) -> None:
    row = [[1.0] + [0.0] * 63]
    for number in range(4):
        sidecar.call("insert", ids=100 + number, embeddings=row, texts="x" * (3 << 20))
    page = sidecar.call("documents", filter={"year": {"$exists": False}})
    assert [one["id"] for one in page["documents"]] == [100, 101, 102]
    assert page["more"] is True
    page = sidecar.call("documents", after=102, limit=1)
    assert page["documents"][0]["id"] == 103


def test_upkeep(sidecar: Sidecar) -> None:
    assert sidecar.call("optimize") is None
    assert sidecar.call("verify")["ok"] is True
    assert sidecar.call("backup", path="copy.mvdb") is None
    assert sidecar.call("compact") is None
    with mvdb.open(sidecar.folder / "copy.mvdb", readonly=True) as db:
        assert len(db) == len(TEXTS)
    assert sidecar.call("stats")["documents"] == len(TEXTS)
    assert sidecar.error("backup", path="copy.mvdb")[0] == "path"


def test_info_tells_what_is_served(reader: Sidecar) -> None:
    info = reader.call("info")
    assert (info["protocol"], info["version"], info["dim"]) == (1, mvdb.__version__, 64)
    assert (info["encoder"], info["readonly"], info["collection"]) == ("words", False, None)
    assert info["methods"]["facets"] == ["field", "filter", "tenant", "limit"]
    page = (Path(__file__).parents[2] / "docs" / "howto-sidecar.md").read_text(encoding="utf-8")
    for name in info["methods"]:
        assert f"`{name}`" in page, f"the page of the protocol lacks {name}"


def test_folders_are_indexed(sidecar: Sidecar) -> None:
    notes = sidecar.folder / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("Apples are red.")
    (notes / "b.txt").write_text("Plums are blue.")
    (notes / "c.txt").write_bytes(b"\0\1\2")
    done = sidecar.call("index", sources=["notes"])
    assert (done["files"]["indexed"], done["passages"]["written"]) == (2, 2)
    assert done["skipped"] == {"binary": 1}
    assert [one["path"] for one in done["refusals"]] == [str(notes / "c.txt")]
    assert sidecar.call("search", query="red apples", k=1)[0]["id"] == "notes/a.txt#1"
    (notes / "a.txt").unlink()
    done = sidecar.call("index", sources=["notes"], prune=True)
    assert (done["files"]["unchanged"], done["files"]["removed"]) == (1, 1)
    for sources in (["nowhere"], [], "notes", [1], ["a\0b"], [""]):
        code, message = sidecar.error("index", sources=sources)
        assert code in ("path", "invalid_input")
        assert "sources" in message
    assert sidecar.error("index", sources=["notes"], prune=1)[0] == "invalid_input"


def test_a_readonly_server_changes_nothing(sidecar: Sidecar, tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER, "--readonly") as readonly:
        assert readonly.call("count") == len(TEXTS)
        for method, params in [
            ("insert", {"ids": "x", "texts": "text"}),
            ("delete", {"ids": "boat"}),
            ("index", {"sources": ["."]}),
            ("optimize", {}),
        ]:
            assert readonly.error(method, **params)[0] == "read_only"
        assert readonly.end() == []


def test_tenants_are_named_by_calls(tmp_path: Path) -> None:
    mvdb.open(tmp_path / "n.mvdb", dim=64, tenants=True).close()
    with Sidecar(tmp_path, *ENCODER) as process:
        for name in ("anna", "bert"):
            process.call("insert", ids="1", texts=f"note of {name}", tenant=name)
        assert process.call("tenants") == {"anna": 1, "bert": 1}
        found = process.call("search", query="note", tenant="bert")
        assert [hit["text"] for hit in found] == ["note of bert"]
        code, message = process.error("search", query="note")
        assert code == "invalid_input"
        assert "tenant" in message
        assert process.call("delete_tenant", name="anna") == 1


def test_a_collection_is_served(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "n.mvdb", dim=4) as db:
        db.collection("words", dim=64)
    with Sidecar(tmp_path, *ENCODER, "--collection", "words") as process:
        process.call("insert", ids="a", texts="within the collection")
        (tmp_path / "b.txt").write_text("A file in the collection.")
        process.call("index", sources=["b.txt"])
        assert process.call("count") == 2
        assert process.call("info")["collection"] == "words"
    with mvdb.open(tmp_path / "n.mvdb", readonly=True) as db:
        assert len(db) == 0
        assert len(db.collection("words")) == 2


def test_without_an_encoder_words_and_vectors_are_found(tmp_path: Path) -> None:
    with Sidecar(tmp_path, "--no-encoder", "--dim", "2") as process:
        process.call("insert", ids=["a"], embeddings=[[[1.0, 0.0]]], texts=["some words"])
        assert [hit["id"] for hit in process.call("search", query="words")] == ["a"]
        assert process.call("search", query=[[0, 1]])[0]["score"] == pytest.approx(0, abs=1e-3)
        assert process.call("info")["encoder"] is None
        assert process.error("insert", ids="b", texts="no vectors")[0] == "invalid_input"
        assert process.error("index", sources=["."])[0] == "invalid_input"
