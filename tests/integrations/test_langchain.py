"""The vector store, the retriever and the reranker of LangChain: its own suites, and what they do
not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.helpers import FakeEncoder
from tests.integrations.frameworks import need

need("langchain")

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings  # noqa: E402
from langchain_core.retrievers import BaseRetriever  # noqa: E402
from langchain_core.structured_query import (  # noqa: E402
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
)
from langchain_tests.integration_tests import (  # noqa: E402
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from mvdb.integrations.langchain import (  # noqa: E402
    MvdbReranker,
    MvdbRetriever,
    MvdbTranslator,
    MvdbVectorStore,
)

TEXTS = ["gulls follow the ferry", "knead the bread dough", "the ferry leaves at nine", "rye bread"]
METADATA: list[dict[str, Any]] = [
    {"year": 2020, "tags": ["sea", "birds"]},
    {"year": 2021, "tags": ["food"]},
    {"year": 2022, "tags": ["sea"]},
    {"year": 2023},
]
IDS = ["gulls", "dough", "ferry", "rye"]


class TestVectorStoreWithEmbeddings(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[MvdbVectorStore]:
        with MvdbVectorStore(tmp_path / "a.mvdb", self.get_embeddings()) as store:
            yield store


class TestVectorStoreWithEncoder(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[MvdbVectorStore]:
        with MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder()) as store:
            yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MvdbVectorStore]:
    with MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder()) as made:
        made.add_texts(TEXTS, METADATA, ids=IDS)
        yield made


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _with_store(self, store: MvdbVectorStore) -> None:
        self.store = store

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MvdbRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"store": self.store}

    @property
    def retriever_query_example(self) -> str:
        return "ferry"


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def unit(matrix: Any) -> Any:
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def maxsim(query: str, text: str) -> float:
    """By brute force, from the vectors of the encoder."""
    encoder = FakeEncoder()
    rows, columns = (unit(encoder.encode_queries([one])[0]) for one in (query, text))
    return float((rows @ columns.T).max(axis=1).sum())


def test_an_encoder_makes_late_interaction(store: MvdbVectorStore) -> None:
    found = store.similarity_search_with_score("the bread", k=4, mode="dense", exact=True)
    by_text = {document.page_content: score for document, score in found}
    assert by_text.keys() == set(TEXTS)
    for text, score in by_text.items():
        assert score == pytest.approx(maxsim("the bread", text), abs=0.15)  # 2 bits per dimension
    assert found[0][0].page_content == "knead the bread dough"


def test_a_search_joins_meaning_and_words_by_default(store: MvdbVectorStore) -> None:
    assert store.database.profile("rye", k=1).mode == "hybrid"
    assert ids(store.similarity_search("rye", k=1)) == ["rye"]
    assert store.embeddings is None


def test_embeddings_make_one_vector_a_text_and_the_cosine_is_the_score(tmp_path: Path) -> None:
    embeddings = DeterministicFakeEmbedding(size=16)
    with MvdbVectorStore(tmp_path / "a.mvdb", embeddings, bits=16) as store:
        store.add_texts(TEXTS, ids=IDS)
        assert [len(rows) for rows in store.database.vectors(IDS)] == [1] * 4
        query, *rows = unit(np.array(embeddings.embed_documents(["a question", *TEXTS])))
        cosines = dict(zip(IDS, rows @ query, strict=True))
        best = sorted(IDS, key=lambda one: -cosines[one])
        found = store.similarity_search_with_score("a question", k=4)
        assert ids([document for document, _ in found]) == best
        for document, score in found:
            assert score == pytest.approx(cosines[str(document.id)], abs=2e-3)
        for document, score in store.similarity_search_with_relevance_scores("a question"):
            assert score == pytest.approx((1 + cosines[str(document.id)]) / 2, abs=2e-3)
        vector = embeddings.embed_query("a question")
        assert ids(store.similarity_search_by_vector(vector, k=4)) == best


def test_embeddings_and_words_together_are_a_mode(tmp_path: Path) -> None:
    embeddings = DeterministicFakeEmbedding(size=16)
    with MvdbVectorStore(tmp_path / "a.mvdb", embeddings, mode="hybrid") as store:
        store.add_texts(TEXTS, ids=IDS)
        assert ids(store.similarity_search('"rye bread"', k=1)) == ["rye"]  # the phrase
        pairs = store.similarity_search_with_relevance_scores("rye", k=4)
        assert len(pairs) == 4
        assert all(0 <= score <= 1 for _, score in pairs)
        with pytest.raises(mvdb.InvalidInputError, match="relevance"):
            store.similarity_search_with_relevance_scores("rye", mode="lexical")


def test_other_embeddings_are_refused_for_texts(tmp_path: Path) -> None:
    class OtherEmbedding(DeterministicFakeEmbedding):
        pass

    path = tmp_path / "a.mvdb"
    with MvdbVectorStore(path, DeterministicFakeEmbedding(size=16)) as store:
        store.add_texts(TEXTS, ids=IDS)
    with (
        pytest.warns(UserWarning, match="encoder"),
        MvdbVectorStore(path, OtherEmbedding(size=16)) as store,
        pytest.raises(mvdb.EncoderMismatchError),
    ):
        store.similarity_search("a question")
    with pytest.raises(mvdb.DimensionMismatch):
        MvdbVectorStore(path, DeterministicFakeEmbedding(size=8))


def test_the_model_of_embeddings_is_part_of_their_name(tmp_path: Path) -> None:
    class Named(DeterministicFakeEmbedding):
        model: str = "small-1"

    with MvdbVectorStore(tmp_path / "a.mvdb", Named(size=16)) as store:
        store.add_texts(["a text"])
        assert store.database.stats().encoder == "Named:small-1"


def test_a_given_dim_saves_the_call_that_finds_it_out(tmp_path: Path) -> None:
    class Counted(Embeddings):
        calls = 0

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            self.calls += 1
            return [1.0, float(len(text))]

    counted = Counted()
    with MvdbVectorStore(tmp_path / "a.mvdb", counted, dim=2):
        assert counted.calls == 0


def test_what_was_stored_comes_back_and_survives(store: MvdbVectorStore) -> None:
    path = store.database.path
    store.close()
    with MvdbVectorStore(path, FakeEncoder()) as again:
        assert again.get_by_ids(["rye", "nobody", "gulls"]) == [
            Document(id="rye", page_content="rye bread", metadata={"year": 2023}),
            Document(id="gulls", page_content=TEXTS[0], metadata=METADATA[0]),
        ]


def test_a_filter_is_that_of_mvdb(store: MvdbVectorStore) -> None:
    found = store.similarity_search("ferry", filter={"year": {"$gte": 2021}, "tags": "sea"})
    assert ids(found) == ["ferry"]
    with pytest.raises(mvdb.FilterError, match=r"filter\.year\.\$near"):
        store.similarity_search("ferry", filter={"year": {"$near": 5}})


def test_deletion_by_ids_by_filter_and_of_all(store: MvdbVectorStore) -> None:
    assert store.delete(["rye", "nobody"]) is True
    assert len(store.database) == 3
    store.delete(filter={"year": 2020})
    assert sorted(store.database.ids()) == ["dough", "ferry"]
    store.delete([])
    assert len(store.database) == 2
    store.delete()
    assert len(store.database) == 0


def test_maximal_marginal_relevance_chooses_among_the_best(store: MvdbVectorStore) -> None:
    store.add_texts(["gulls follow the ferry ."], ids=["gulls again"])
    near = store.similarity_search("gulls follow the ferry", k=2)
    assert set(ids(near)) == {"gulls", "gulls again"}
    unlike = store.max_marginal_relevance_search("gulls follow the ferry", k=2, lambda_mult=0.1)
    assert len(set(ids(unlike)) & {"gulls", "gulls again"}) == 1
    # Of the best two alone both are taken, however alike they are.
    among = store.max_marginal_relevance_search(
        "gulls follow the ferry", k=2, fetch_k=2, lambda_mult=0.1
    )
    assert set(ids(among)) == {"gulls", "gulls again"}


def test_relevance_parts_answers_from_others(store: MvdbVectorStore) -> None:
    pairs = store.similarity_search_with_relevance_scores("knead the bread dough", k=4)
    scores = {document.id: score for document, score in pairs}
    assert all(0 <= score <= 1 for score in scores.values())
    assert scores["dough"] > 0.9
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
    )
    assert "dough" in ids(retriever.invoke("knead the bread dough"))
    with pytest.raises(mvdb.InvalidInputError, match="relevance"):
        store.similarity_search_with_relevance_scores("bread", mode="lexical")


def test_a_store_is_made_of_documents(tmp_path: Path) -> None:
    documents = [Document(page_content="rye bread", metadata={"n": 1}, id="rye")]
    path = tmp_path / "a.mvdb"
    with MvdbVectorStore.from_documents(documents, FakeEncoder(), database=path, bits=4) as store:
        assert store.get_by_ids(["rye"]) == documents
        assert store.database.bits == 4


def test_one_document_alone_is_relevant(tmp_path: Path) -> None:
    with MvdbVectorStore.from_texts(
        ["rye bread"], FakeEncoder(), database=tmp_path / "a.mvdb"
    ) as store:
        assert store.similarity_search_with_relevance_scores("rye")[0][1] == 1.0


def test_an_open_database_or_collection_keeps_its_encoder_and_stays_open(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", encoder=FakeEncoder()) as db:
        part = db.collection("notes", encoder=FakeEncoder())
        with MvdbVectorStore(part) as store:
            store.add_documents([Document(page_content="rye bread", id="rye")])
        assert list(part.ids()) == ["rye"]
        assert list(db.ids()) == []
        with pytest.raises(mvdb.InvalidInputError, match=r"an encoder, bits.*mvdb\.open"):
            MvdbVectorStore(part, FakeEncoder(), bits=4)


def test_without_an_encoder_a_file_is_searched_by_words(store: MvdbVectorStore) -> None:
    path = store.database.path
    store.close()
    with MvdbVectorStore(path) as words:
        assert set(ids(words.similarity_search("bread"))) == {"dough", "rye"}
        with pytest.raises(mvdb.InvalidInputError, match="encoder"):
            words.add_texts(["no vectors"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"metadatas": [{}]}, "metadatas: 1 for 2"),
        ({"ids": ["a"]}, "ids: 1 for 2"),
        ({"ids": ["a", "a"]}, "'a' is given twice"),
        ({"metadatas": [{"n": float("nan")}, {}]}, "NaN|nan"),
        ({"batch_size": 5}, "unknown arguments batch_size"),
    ],
)
def test_malformed_texts_are_refused_whole(
    store: MvdbVectorStore, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=named):
        store.add_texts(["one", "two"], **arguments)
    assert len(store.database) == 4


def test_no_file_is_left_open_when_the_first_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="ids"):
        MvdbVectorStore.from_texts(["a"], FakeEncoder(), ids=[], database=tmp_path / "a.mvdb")
    (tmp_path / "a.mvdb").rename(tmp_path / "b.mvdb")
    with mvdb.open(tmp_path / "b.mvdb") as db:
        assert len(db) == 0


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="mode"):
        MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder(), mode="fast")
    assert not (tmp_path / "a.mvdb").exists()


def test_the_asynchronous_calls_give_the_same(store: MvdbVectorStore) -> None:
    async def ask() -> list[Any]:
        added = await store.aadd_texts(["white bread"], [{"year": 2024}], ids=["white"])
        return [
            added,
            await store.asimilarity_search_with_score("bread", k=3),
            await store.asimilarity_search_with_relevance_scores("bread", k=3),
            await store.amax_marginal_relevance_search("bread", k=2),
            await MvdbRetriever(store=store, k=2).ainvoke("bread", filter={"year": 2024}),
        ]

    added, scored, relevant, diverse, retrieved = asyncio.run(ask())
    assert added == ["white"]
    assert scored == store.similarity_search_with_score("bread", k=3)
    assert relevant == store.similarity_search_with_relevance_scores("bread", k=3)
    assert diverse == store.max_marginal_relevance_search("bread", k=2)
    assert ids(retrieved) == ["white"]


def test_a_retriever_takes_the_options_of_a_search(store: MvdbVectorStore) -> None:
    retriever = MvdbRetriever(store=store, k=4, options={"filter": {"tags": "sea"}})
    assert set(ids(retriever.invoke("bread"))) == {"gulls", "ferry"}
    assert ids(retriever.invoke("bread", filter={"year": 2023})) == ["rye"]
    with pytest.raises(TypeError, match="colour"):
        retriever.invoke("bread", colour="red")


def test_the_reranker_orders_by_maxsim() -> None:
    documents = [Document(page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)]
    reranked = MvdbReranker(encoder=FakeEncoder(), top_n=3).compress_documents(
        documents, "bread dough"
    )
    scores = {text: maxsim("bread dough", text) for text in TEXTS}
    assert [one.page_content for one in reranked] == sorted(TEXTS, key=lambda one: -scores[one])[:3]
    for one in reranked:
        assert one.metadata["relevance_score"] == pytest.approx(scores[one.page_content], abs=1e-5)
    assert documents[0].metadata == {"n": 0}
    assert list(MvdbReranker(encoder=FakeEncoder()).compress_documents([], "bread")) == []
    again = asyncio.run(MvdbReranker(encoder=FakeEncoder()).acompress_documents(documents, "rye"))
    assert len(again) == 4


STRUCTURED = [
    (Comparison(Comparator.EQ, "year", 2021), ["dough"]),
    (Comparison(Comparator.NE, "year", 2021), ["ferry", "gulls", "rye"]),
    (Comparison(Comparator.GT, "year", 2021), ["ferry", "rye"]),
    (Comparison(Comparator.GTE, "year", 2021), ["dough", "ferry", "rye"]),
    (Comparison(Comparator.LT, "year", 2021), ["gulls"]),
    (Comparison(Comparator.LTE, "year", 2021), ["dough", "gulls"]),
    (Comparison(Comparator.CONTAIN, "tags", "sea"), ["ferry", "gulls"]),
    (Comparison(Comparator.IN, "year", [2020, 2023]), ["gulls", "rye"]),
    (Comparison(Comparator.NIN, "year", [2020, 2023]), ["dough", "ferry"]),
    (
        Operation(
            Operator.AND,
            [
                Comparison(Comparator.CONTAIN, "tags", "sea"),
                Operation(Operator.NOT, [Comparison(Comparator.EQ, "year", 2020)]),
            ],
        ),
        ["ferry"],
    ),
    (
        Operation(
            Operator.OR,
            [Comparison(Comparator.EQ, "year", 2020), Comparison(Comparator.EQ, "year", 2023)],
        ),
        ["gulls", "rye"],
    ),
]


@pytest.mark.parametrize(("condition", "expected"), STRUCTURED)
def test_structured_queries_are_translated(
    store: MvdbVectorStore, condition: Any, expected: list[str]
) -> None:
    query, options = MvdbTranslator().visit_structured_query(StructuredQuery("bread", condition))
    assert query == "bread"
    assert sorted(ids(store.similarity_search(query, k=9, **options))) == expected  # type: ignore[type-var]


def test_every_comparator_is_translated_or_refused_by_name() -> None:
    asked = {one[0].comparator for one in STRUCTURED if isinstance(one[0], Comparison)}
    assert asked | {Comparator.LIKE} == set(Comparator)
    with pytest.raises(mvdb.FilterError, match="like"):
        MvdbTranslator().visit_comparison(Comparison(Comparator.LIKE, "title", "a%"))
    with pytest.raises(mvdb.FilterError, match="not"):
        MvdbTranslator().visit_operation(
            Operation(Operator.NOT, [Comparison(Comparator.EQ, "a", n) for n in (1, 2)])
        )
    assert MvdbTranslator().visit_structured_query(StructuredQuery("all", None)) == ("all", {})


def test_a_date_is_compared_as_it_is_written(store: MvdbVectorStore) -> None:
    store.add_texts(["dated"], [{"day": "2024-05-01"}], ids=["dated"])
    day = {"type": "date", "date": "2024-01-01"}
    condition = MvdbTranslator().visit_comparison(Comparison(Comparator.GT, "day", day))
    assert ids(store.similarity_search("dated", filter=condition)) == ["dated"]
