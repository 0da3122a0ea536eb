"""`MvdbIndex` in PyLate's own retrieval flow, beside its PLAID and exact MaxSim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pylate", reason="pylate is not installed")
torch = pytest.importorskip("torch")

from pylate import indexes, rank, retrieve  # noqa: E402
from pylate.indexes.base import Base  # noqa: E402

import mvdb  # noqa: E402
from mvdb.integrations.pylate import MvdbIndex  # noqa: E402
from tests.integrations.token_topics import Topics, overlap  # noqa: E402

K = 10


@pytest.fixture(scope="module")
def topics() -> Topics:
    return Topics.drawn(documents=300, queries=20)


@pytest.fixture
def index(tmp_path: Path, topics: Topics) -> Iterator[MvdbIndex]:
    with MvdbIndex(tmp_path, "topics") as made:
        yield made.add_documents(topics.names, topics.documents)


def ids(results: list[list[Any]]) -> list[list[str]]:
    return [[result["id"] for result in found] for found in results]


def test_the_flow_of_pylate_gives_what_its_plaid_gives(tmp_path: Path, topics: Topics) -> None:
    """The same lines, with the other class."""
    found = {}
    for kind in (MvdbIndex, indexes.PLAID):
        options = {"device": "cpu", "show_progress": False} if kind is indexes.PLAID else {}
        index = kind(
            index_folder=str(tmp_path), index_name=kind.__name__, override=True, nbits=4, **options
        )
        index = index.add_documents(
            documents_ids=topics.names, documents_embeddings=topics.documents
        )
        retriever = retrieve.ColBERT(index=index)
        results = retriever.retrieve(queries_embeddings=topics.queries, k=K, device="cpu")
        assert all(set(result) == {"id", "score"} for one in results for result in one)
        found[kind] = ids(results)
    exact = [topics.best(query, K) for query in topics.queries]
    assert overlap(found[MvdbIndex], exact) >= 0.97
    assert overlap(found[MvdbIndex], found[indexes.PLAID]) >= 0.9


def test_scores_are_maxsim_in_descending_order(index: MvdbIndex, topics: Topics) -> None:
    assert isinstance(index, Base)
    assert index.is_end_to_end_index
    for query, found in zip(topics.queries, index(topics.queries, k=K), strict=True):
        scores = [result["score"] for result in found]
        assert scores == sorted(scores, reverse=True)
        expected = topics.scores(query)
        assert scores == pytest.approx([expected[result["id"]] for result in found], rel=0.05)


def test_forms_of_queries(index: MvdbIndex, topics: Topics) -> None:
    """As `models.ColBERT.encode` gives them: a list or a 3-D array, of numpy or torch."""
    expected = index(topics.queries, k=3)
    stacked = np.stack(topics.queries)
    for form in (
        stacked,
        torch.from_numpy(stacked),
        [torch.from_numpy(query) for query in topics.queries],
        torch.from_numpy(stacked).to(torch.float64),
    ):
        assert ids(index(form, k=3)) == ids(expected)
    for single in (topics.queries[0], torch.from_numpy(topics.queries[0])):
        assert index(single, k=3) == expected[:1]


def test_forms_of_documents(tmp_path: Path, topics: Topics) -> None:
    expected = None
    tensors = [torch.from_numpy(document) for document in topics.documents[:9]]
    for number, form in enumerate((topics.documents[:9], tensors)):
        index = MvdbIndex(tmp_path, f"forms{number}").add_documents(range(9), form, batch_size=4)
        found = index(topics.queries[:2], k=9)
        assert {result["id"] for result in found[0]} == set(range(9))
        expected = expected or found
        assert found == expected
        index.close()
    stacked = np.stack([topics.documents[0][:8], topics.documents[1][:8]])
    with MvdbIndex(tmp_path, "stacked") as index:
        index.add_documents(["a", "b"], torch.from_numpy(stacked)).add_documents("c", stacked[:1])
        assert {result["id"] for result in index(stacked[0])[0]} == {"a", "b", "c"}


def test_subset(index: MvdbIndex, topics: Topics) -> None:
    queries = topics.queries[:3]
    some = topics.names[::7]
    everything = [topics.best(query, len(topics.names)) for query in queries]
    for_all = index(queries, k=5, subset=[*some, "unknown"])
    assert all(set(one) <= set(some) for one in ids(for_all))
    assert (
        overlap(
            ids(for_all), [[name for name in one if name in set(some)][:5] for one in everything]
        )
        >= 0.9
    )
    for_each = index(queries, k=5, subset=[some, [], topics.names[:2]])
    assert for_each[0] == for_all[0]
    assert for_each[1] == []
    assert {result["id"] for result in for_each[2]} == set(topics.names[:2])
    assert index(queries, k=5, subset=[]) == [[], [], []]
    with pytest.raises(ValueError, match="subset: 2 lists of ids for 3 queries"):
        index(queries, subset=[some, some])
    retriever = retrieve.ColBERT(index=index)
    assert retriever.retrieve(queries, k=5, subset=[*some, "unknown"]) == for_all


def test_removed_and_updated_documents(index: MvdbIndex, topics: Topics) -> None:
    query = topics.queries[0]
    first, second, third = ids(index(query, k=3))[0]
    assert index.remove_documents([first, "unknown"]) is index
    assert ids(index(query, k=2))[0] == [second, third]
    index.update_documents([third], [query])
    assert ids(index(query, k=2))[0] == [third, second]
    index.add_documents([first], [-query])
    assert ids(index(query, k=2))[0] == [third, second]
    assert index.database is not None
    assert len(index.database) == len(topics.names)


def test_documents_embeddings_feed_the_reranker_of_pylate(index: MvdbIndex, topics: Topics) -> None:
    chosen = [topics.names[3:6], topics.names[8:12]]
    embeddings = index.get_documents_embeddings(chosen)
    assert [[len(one) for one in group] for group in embeddings] == [
        [len(topics.documents[number]) for number in numbers]
        for numbers in (range(3, 6), range(8, 12))
    ]
    cosines = np.einsum("ij,ij->i", embeddings[0][0], topics.documents[3])
    assert cosines.mean() > 0.95
    reranked = rank.rerank(
        documents_ids=chosen,
        queries_embeddings=topics.queries[:2],
        documents_embeddings=embeddings,
    )
    found = index(topics.queries[:2], k=4, subset=chosen)
    assert ids(found) == ids(reranked)
    for one, other in zip(found, reranked, strict=True):
        assert [x["score"] for x in one] == pytest.approx([x["score"] for x in other], rel=1e-3)
    with pytest.raises(KeyError, match="unknown"):
        index.get_documents_embeddings([["unknown"]])


def test_an_index_is_opened_again(index: MvdbIndex, topics: Topics) -> None:
    before = index(topics.queries, k=K)
    folder, name = index.path.parent, index.path.stem
    index.close()
    index.close()
    with MvdbIndex(folder, name) as again:
        assert again(topics.queries, k=K) == before
    with mvdb.open(folder / f"{name}.mvdb") as db:
        assert len(db) == len(topics.names)
    with pytest.raises(ValueError, match="bits"):
        MvdbIndex(folder, name, nbits=2)


def test_override_begins_anew(tmp_path: Path, topics: Topics) -> None:
    """Twice in one process, as in a notebook whose cell runs again."""
    for part in (slice(0, 5), slice(5, 12)):
        index = MvdbIndex(tmp_path, "same", override=True)
        index.add_documents(topics.names[part], topics.documents[part])
        found = {result["id"] for result in index(topics.queries[0], k=20)[0]}
        assert found == set(topics.names[part])


def test_bad_input(tmp_path: Path, topics: Topics) -> None:
    index = MvdbIndex(tmp_path / "new", "a")
    with pytest.raises(ValueError, match="add documents first"):
        index(topics.queries[0])
    assert index.remove_documents(["a"]).add_documents([], []) is index
    with pytest.raises(ValueError, match="documents_embeddings"):
        index.add_documents(["a"], ["a text"])
    assert not index.path.exists()
    index.add_documents(topics.names[:2], topics.documents[:2])
    with pytest.raises(ValueError, match="dimensions"):
        index.add_documents(["a", "b"], [topics.documents[3], topics.documents[3][:, :5]])
    assert {result["id"] for result in index(topics.queries[0])[0]} == set(topics.names[:2])
    with pytest.raises(ValueError, match="bits"):
        MvdbIndex(tmp_path, "b", nbits=3).add_documents(topics.names[:2], topics.documents[:2])
