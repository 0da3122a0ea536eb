"""The document store, the retriever and the ranker of Haystack: its own suites, and what they do
not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.helpers import FakeEncoder
from tests.integrations.frameworks import need

need("haystack")

from haystack import Pipeline  # noqa: E402
from haystack.components.writers import DocumentWriter  # noqa: E402
from haystack.core.serialization import allow_deserialization_module  # noqa: E402
from haystack.dataclasses import ByteStream, Document, SparseEmbedding  # noqa: E402
from haystack.document_stores.errors import DuplicateDocumentError  # noqa: E402
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy  # noqa: E402
from haystack.errors import FilterError  # noqa: E402
from haystack.testing.document_store import (  # noqa: E402
    CountDocumentsByFilterTest,
    DocumentStoreBaseExtendedTests,
)
from haystack.testing.document_store_async import (  # noqa: E402
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)
from haystack.utils.filters import document_matches_filter  # noqa: E402

from mvdb.integrations.haystack import (  # noqa: E402
    MvdbDocumentStore,
    MvdbRanker,
    MvdbRetriever,
)

allow_deserialization_module("mvdb.*")
allow_deserialization_module("tests.*")


class SerialisableEncoder(FakeEncoder):
    """An encoder that Haystack can write to a file."""

    def to_dict(self) -> dict[str, Any]:
        arguments = {"name": self.name, "dim": self.dim}
        return {"type": f"{__name__}.SerialisableEncoder", "init_parameters": arguments}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SerialisableEncoder:
        return cls(**data["init_parameters"])


@pytest.fixture
def document_store(tmp_path: Path) -> Iterator[MvdbDocumentStore]:
    with MvdbDocumentStore(tmp_path / "a.mvdb", SerialisableEncoder()) as made:
        yield made


class InOrderOfIds:
    """The order of documents is that of their ids, not that of writing."""

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        assert received == sorted(expected, key=lambda one: one.id)


class Fixture:
    @pytest.fixture
    def document_store(self, document_store: MvdbDocumentStore) -> MvdbDocumentStore:
        return document_store


class TestStore(InOrderOfIds, Fixture, DocumentStoreBaseExtendedTests, CountDocumentsByFilterTest):
    """The extended tests have the base tests among them."""

    def test_write_documents(self, document_store: MvdbDocumentStore) -> None:
        """Without a policy a document that is there already is an error."""
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])


class TestAsync(
    InOrderOfIds,
    Fixture,
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
):
    async def test_write_documents_async(self, document_store: MvdbDocumentStore) -> None:
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


DOCUMENTS = [
    Document(id="gulls", content="gulls follow the ferry", meta={"year": 2020, "tag": "sea"}),
    Document(id="dough", content="knead the bread dough", meta={"year": 2021, "tag": None}),
    Document(id="ferry", content="the ferry leaves at nine", meta={"year": 2022, "tag": "sea"}),
    Document(
        id="rye",
        content="rye bread",
        meta={"year": 2023.5, "day": "2024-05-01", "nested": {"deep": {"n": 1}}},
    ),
]


@pytest.fixture
def filled(document_store: MvdbDocumentStore) -> MvdbDocumentStore:
    assert document_store.write_documents(DOCUMENTS) == 4
    return document_store


def ids(documents: list[Document]) -> list[str]:
    return [document.id for document in documents]


def test_documents_come_back_whole(filled: MvdbDocumentStore) -> None:
    others = [
        Document(id="none", content=None, meta={"n": [1, {"a": None}]}),
        Document(id="empty", content=""),
        Document(
            id="all",
            content="a text",
            blob=ByteStream(b"\x00\xffdata", meta={"from": "a file"}, mime_type="image/png"),
            embedding=[0.1, -1e-300, 3.0],
            sparse_embedding=SparseEmbedding(indices=[1, 5], values=[0.5, 0.25]),
        ),
    ]
    filled.write_documents(others)
    wanted = sorted([*DOCUMENTS, *others], key=lambda one: one.id)
    assert filled.filter_documents() == wanted
    filled.close()  # and it opens again at the next use
    assert filled.filter_documents() == wanted
    assert filled.database.facets("year", limit=1) == [(2020, 1)]  # no prefix in mvdb


def test_what_is_not_metadata_is_not_in_the_way_of_filters(filled: MvdbDocumentStore) -> None:
    filled.write_documents([Document(id="e", content="x", embedding=[1.0, 2.0])])
    assert (
        filled.update_by_filter({"field": "year", "operator": "==", "value": None}, {"n": 1}) == 1
    )
    assert filled.filter_documents({"field": "n", "operator": "==", "value": 1}) == [
        Document(id="e", content="x", embedding=[1.0, 2.0], meta={"n": 1})
    ]
    for call in (
        lambda: filled.write_documents([Document(content="y", meta={"$haystack": 1})]),
        lambda: filled.update_by_filter({}, {"$haystack": 1}),
    ):
        with pytest.raises(mvdb.InvalidInputError, match=r"\$haystack"):
            call()


@pytest.mark.parametrize(
    "rest", [5, {"blob": {}}, {"blob": {"data": "?"}}, {"sparse_embedding": 5}]
)
def test_a_document_that_cannot_be_made_again_is_named(
    filled: MvdbDocumentStore, rest: Any
) -> None:
    filled.database.insert("bad", texts="x", metadata={"$haystack": rest})
    with pytest.raises(mvdb.CorruptionError, match=r"'bad'.*\$haystack"):
        filled.filter_documents()


POLICIES = DuplicatePolicy


@pytest.mark.parametrize(
    ("policy", "written", "contents"),
    [
        (POLICIES.SKIP, 1, {"rye": "rye bread", "new": "first"}),
        (POLICIES.OVERWRITE, 3, {"rye": "changed", "new": "second"}),
        (POLICIES.FAIL, None, {"rye": "rye bread"}),
        (POLICIES.NONE, None, {"rye": "rye bread"}),
    ],
)
def test_duplicates_in_the_store_and_in_one_call(
    filled: MvdbDocumentStore, policy: Any, written: int | None, contents: dict[str, str]
) -> None:
    given = [
        Document(id="rye", content="changed"),
        Document(id="new", content="first"),
        Document(id="new", content="second"),
    ]
    if written is None:
        for one in (given, given[:2]):
            with pytest.raises(DuplicateDocumentError) as caught:
                filled.write_documents(one, policy=policy)
            assert isinstance(caught.value, mvdb.DuplicateIdError)
    else:
        assert filled.write_documents(given, policy=policy) == written
    stored = {one.id: one.content for one in filled.filter_documents() if one.id in ("rye", "new")}
    assert stored == contents
    assert filled.write_documents([], policy=policy) == 0


def test_a_document_that_cannot_be_stored_keeps_all_out(filled: MvdbDocumentStore) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="JSON"):
        filled.write_documents([Document(content="a"), Document(content="b", meta={"n": {1}})])
    assert filled.count_documents() == 4


def condition(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def joined(operator: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


FILTERS = [
    *(condition("meta.year", one, 2021) for one in ("==", "!=", ">", ">=", "<", "<=")),
    *(condition("meta.tag", one, None) for one in ("==", "!=", ">", "<=")),
    *(condition("meta.day", one, "2024-05-01") for one in (">", ">=", "<", "<=", "==")),
    condition("meta.year", "in", [2020, 2023.5]),
    condition("meta.year", "not in", [2020, 2023.5]),
    condition("meta.year", "in", []),
    condition("meta.year", "not in", []),
    condition("meta.tag", "in", ["sea", None]),
    condition("meta.tag", "not in", ["sea", None]),
    condition("meta.tag", "in", [None]),
    condition("tag", "==", "sea"),
    condition("meta.nested.deep.n", "==", 1),
    condition("meta.nested.none.n", "==", None),
    *(
        joined(one, condition("meta.tag", "==", "sea"), condition("meta.year", ">", 2020))
        for one in ("AND", "OR", "NOT")
    ),
    *(joined(one) for one in ("AND", "OR", "NOT")),
    joined("NOT", joined("OR", condition("year", "==", 2020), condition("year", "==", 2021))),
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_match_the_same_as_haystack_itself(
    filled: MvdbDocumentStore, filters: dict[str, Any]
) -> None:
    expected = sorted(one.id for one in DOCUMENTS if document_matches_filter(filters, one))
    assert ids(filled.filter_documents(filters)) == expected
    assert filled.count_documents_by_filter(filters) == len(expected)
    assert sorted(ids(filled.search("bread", filters))) == expected


def deep() -> dict[str, Any]:
    filters = condition("year", "==", 2020)
    for _ in range(200):
        filters = joined("NOT", filters)
    return filters


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        (condition("meta.year", "like", 1), "'like' on 'year'"),
        (condition("meta.year", ">", "soon"), "'>' on 'year'.*'soon'"),
        (condition("meta.year", ">", [1]), r"year\.\$gt"),
        (condition("meta.year", "==", [1]), r"year\.\$eq"),
        (condition("meta.year", "in", 5), "'in' on 'year' needs a list"),
        (condition("content", "==", "rye bread"), "'content'"),
        (condition("id", "==", "rye"), "'id'"),
        (condition("blob.mime_type", "==", "x"), "blob.mime_type"),
        (condition("meta", "==", "x"), "'meta'"),
        (condition("meta.$x", "==", "x"), r"\$x"),
        ({"field": 5, "operator": "==", "value": 1}, "5"),
        (joined("XOR"), "'XOR'"),
        ({"operator": "AND", "conditions": 5}, "a list, not 5"),
        ({"operator": "AND"}, "'conditions' is missing"),
        ({"operator": ["AND"], "conditions": []}, "AND, OR, NOT"),
        ({"field": "year", "operator": "=="}, "'value' is missing"),
        ({"year": 2020}, "'operator' is missing"),
        ([1], "a dict is needed"),
        (deep(), "deep"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_filters_are_refused_by_name(filled: MvdbDocumentStore, filters: Any, named: str) -> None:
    for call in (
        filled.filter_documents,
        filled.count_documents_by_filter,
        filled.delete_by_filter,
        lambda filters: filled.update_by_filter(filters, {"n": 1}),
        lambda filters: filled.search("bread", filters),
    ):
        with pytest.raises(FilterError, match=named) as caught:
            call(filters)
        assert isinstance(caught.value, mvdb.FilterError)
    assert filled.filter_documents() == sorted(DOCUMENTS, key=lambda one: one.id)


def test_the_retriever_searches_by_meaning_and_words(filled: MvdbDocumentStore) -> None:
    retriever = MvdbRetriever(filled, top_k=3)
    found = retriever.run("rye bread")["documents"]
    hits = filled.database.search("rye bread", 3)
    assert [(one.id, one.score) for one in found] == [(hit.id, hit.score) for hit in hits]
    assert found[0] == Document.from_dict({**DOCUMENTS[3].to_dict(), "score": hits[0].score})
    assert ids(retriever.run("rye bread", top_k=1)["documents"]) == ["rye"]
    assert retriever.run("rye bread", top_k=0)["documents"] == []
    assert asyncio.run(retriever.run_async("rye bread")) == {"documents": found}
    words = MvdbRetriever(filled, options={"mode": "lexical"}).run("bread")["documents"]
    assert set(ids(words)) == {"rye", "dough"}


def test_filters_of_the_retriever_and_of_a_run(filled: MvdbDocumentStore) -> None:
    sea, late = condition("meta.tag", "==", "sea"), condition("meta.year", ">", 2021)
    replacing = MvdbRetriever(filled, filters=sea)
    assert set(ids(replacing.run("bread")["documents"])) == {"gulls", "ferry"}
    assert set(ids(replacing.run("bread", late)["documents"])) == {"ferry", "rye"}
    merging = MvdbRetriever(filled, filters=sea, filter_policy=FilterPolicy.MERGE)
    assert ids(merging.run("bread", late)["documents"]) == ["ferry"]


def test_the_ranker_orders_by_maxsim() -> None:
    ranker = MvdbRanker(FakeEncoder(), top_k=2)
    best = ranker.run("rye bread", DOCUMENTS)["documents"]
    assert ids(best) == ["rye", "dough"]
    assert best[0].score == pytest.approx(2.0, abs=1e-5)  # both tokens are there
    assert DOCUMENTS[3].score is None
    assert ids(ranker.run("rye bread", DOCUMENTS, top_k=1)["documents"]) == ["rye"]
    assert ranker.run("rye", [])["documents"] == []
    assert asyncio.run(ranker.run_async("rye bread", DOCUMENTS)) == {"documents": best}


def test_a_pipeline_survives_its_serialisation(tmp_path: Path) -> None:
    def store() -> MvdbDocumentStore:
        return MvdbDocumentStore(
            tmp_path / "a.mvdb", SerialisableEncoder(dim=16), mode="dense", bits=4
        )

    indexing, asking = Pipeline(), Pipeline()
    indexing.add_component("writer", DocumentWriter(store()))
    asking.add_component("retriever", MvdbRetriever(store(), top_k=2, options={"nprobe": 64}))
    asking.add_component("ranker", MvdbRanker(SerialisableEncoder(dim=16)))
    asking.connect("retriever.documents", "ranker.documents")
    indexing, asking = (Pipeline.loads(one.dumps()) for one in (indexing, asking))
    try:
        assert (
            indexing.run({"writer": {"documents": DOCUMENTS}})["writer"]["documents_written"] == 4
        )
        query = "rye bread"
        answer = asking.run({"retriever": {"query": query}, "ranker": {"query": query}})
        assert ids(answer["ranker"]["documents"]) == ["rye", "dough"]
        retriever = asking.get_component("retriever")
        assert retriever.document_store.database.bits == 4
        assert retriever.to_dict() == MvdbRetriever.from_dict(retriever.to_dict()).to_dict()
    finally:
        indexing.get_component("writer").document_store.close()
        asking.get_component("retriever").document_store.close()


def test_what_cannot_be_serialised_is_named(tmp_path: Path) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="FakeEncoder has no to_dict"):
        MvdbDocumentStore(tmp_path / "a.mvdb", FakeEncoder()).to_dict()
    with pytest.raises(mvdb.InvalidInputError, match="FakeEncoder has no to_dict"):
        MvdbRanker(FakeEncoder()).to_dict()
    with (
        mvdb.open(tmp_path / "a.mvdb", dim=8) as db,
        pytest.raises(mvdb.InvalidInputError, match="open database"),
    ):
        MvdbDocumentStore(db).to_dict()
    named = MvdbDocumentStore("a.mvdb", "all-MiniLM-L6-v2-pca128")
    assert named.to_dict()["init_parameters"] == {
        "database": "a.mvdb",
        "encoder": "all-MiniLM-L6-v2-pca128",
        "mode": "auto",
    }


def test_other_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="mode"):
        MvdbDocumentStore(tmp_path / "a.mvdb", FakeEncoder(), mode="fast")
    with pytest.raises(mvdb.InvalidInputError, match="document_store"):
        MvdbRetriever("a.mvdb")
    assert not (tmp_path / "a.mvdb").exists()
