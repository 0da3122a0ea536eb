"""The vector store, the retriever and the reranker of LlamaIndex, which has no suite of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.helpers import FakeEncoder
from tests.integrations.frameworks import need

need("llama-index")

from llama_index.core import MockEmbedding, VectorStoreIndex  # noqa: E402
from llama_index.core.schema import (  # noqa: E402
    BaseNode,
    ImageNode,
    IndexNode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.schema import Document as LlamaDocument  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn  # noqa: E402

from mvdb.integrations.llama_index import (  # noqa: E402
    MvdbReranker,
    MvdbRetriever,
    MvdbVectorStore,
)

METADATA: dict[str, dict[str, Any]] = {
    "gulls": {"year": 2020, "tags": ["sea", "birds"], "title": "Gulls", "note": ""},
    "dough": {"year": 2021, "tags": ["food"], "title": "Dough and bread", "note": None},
    "ferry": {"year": 2022.5, "tags": ["sea"], "title": "Ferry", "empty": []},
    "rye": {"year": 2023, "title": "Rye bread", "note": "good"},
}
TEXTS = {
    "gulls": "gulls follow the ferry",
    "dough": "knead the bread dough",
    "ferry": "the ferry leaves at nine",
    "rye": "rye bread",
}
SOURCES = {"gulls": "sea.md", "ferry": "sea.md", "dough": "bread.md", "rye": "bread.md"}


def nodes() -> list[BaseNode]:
    return [
        TextNode(
            id_=name,
            text=text,
            metadata=METADATA[name],
            excluded_embed_metadata_keys=["year"],
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=SOURCES[name])},
        )
        for name, text in TEXTS.items()
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MvdbVectorStore]:
    with MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder()) as made:
        assert made.add(nodes()) == list(TEXTS)
        yield made


def ask(store: MvdbVectorStore, text: str | None = "bread", k: int = 4, **fields: Any) -> list[str]:
    found = store.query(VectorStoreQuery(query_str=text, similarity_top_k=k, **fields))
    assert found.ids is not None
    return list(found.ids)


def test_nodes_come_back_as_they_were(store: MvdbVectorStore) -> None:
    others = [
        IndexNode(id_="index", text="an index node", index_id="other"),
        ImageNode(id_="image", text="a picture", image_url="http://example.org/a.png"),
    ]
    store.add(others)
    wanted = [*nodes(), *others]
    assert store.get_nodes([node.node_id for node in wanted]) == wanted
    path = store.client.path
    store.close()
    with MvdbVectorStore(path, FakeEncoder()) as again:
        assert again.get_nodes(["rye", "nobody", "gulls"]) == [nodes()[3], nodes()[0]]
        found = again.query(VectorStoreQuery(query_str=TEXTS["gulls"], similarity_top_k=1))
        assert found.nodes == [nodes()[0]]


def test_what_is_not_metadata_is_not_in_the_way_of_filters(store: MvdbVectorStore) -> None:
    document = store.client.get("rye")[0]
    assert document is not None
    assert document.text == "rye bread"
    assert store.client.facets("ref_doc_id") == [("bread.md", 2), ("sea.md", 2)]
    assert document.metadata is not None
    assert {name for name in document.metadata if name.startswith("$")} == {"$llama_index"}


def test_metadata_updated_by_mvdb_are_those_of_the_node(store: MvdbVectorStore) -> None:
    store.client.update("rye", metadata={"year": 1999}, merge=True)
    assert store.get_nodes(["rye"])[0].metadata == {**METADATA["rye"], "year": 1999}


def test_metadata_with_the_name_of_a_reference_stay(store: MvdbVectorStore) -> None:
    node = TextNode(id_="own", text="a text", metadata={"doc_id": "mine", "year": 1})
    store.add([node])
    assert store.get_nodes(["own"]) == [node]


def test_documents_that_something_else_wrote_are_text_nodes(store: MvdbVectorStore) -> None:
    store.client.insert("plain", texts="a plain text", metadata={"n": 1})
    (node,) = store.get_nodes(["plain"])
    assert (node.node_id, node.get_content(), node.metadata) == ("plain", "a plain text", {"n": 1})
    store.client.insert("bad", texts="x", metadata={"$llama_index": {"_node_content": "{"}})
    with pytest.raises(mvdb.CorruptionError, match=r"'bad'.*\$llama_index"):
        store.get_nodes(["bad"])


def test_an_index_on_the_store_asks_by_words_without_an_embedding_model(tmp_path: Path) -> None:
    with MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder()) as store:
        index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(embed_dim=1))
        index.insert_nodes(nodes())
        index.insert(LlamaDocument(text="white bread", id_="white.md", metadata={"year": 2024}))
        found = index.as_retriever(similarity_top_k=1).retrieve("knead the bread dough")
        assert [one.node.node_id for one in found] == ["dough"]
        filters = MetadataFilters(filters=[MetadataFilter(key="year", value=2024)])
        (one,) = index.as_retriever(filters=filters).retrieve("bread")
        assert one.node.get_content() == "white bread"
        assert one.node.ref_doc_id == "white.md"
        index.delete_ref_doc("white.md")
        index.delete_nodes(["rye"])
        assert sorted(store.client.ids()) == ["dough", "ferry", "gulls"]


def test_a_query_joins_meaning_and_words_unless_its_mode_says_otherwise(
    store: MvdbVectorStore,
) -> None:
    modes = VectorStoreQueryMode
    words = {"dough", "rye"}  # the two texts with the word
    for mode in (modes.TEXT_SEARCH, modes.SPARSE):
        assert set(ask(store, "bread", mode=mode)) == words
    assert len(ask(store, "bread")) == 4
    assert ask(store, "rye bread", mode=modes.HYBRID, hybrid_top_k=1) == ["rye"]


def test_alpha_is_the_weight_of_the_vectors(store: MvdbVectorStore) -> None:
    """To the encoder of the tests anagrams are the same: MaxSim takes bread for beard."""
    store.add([TextNode(id_="shaved", text="the shaved beard")])
    mode = VectorStoreQueryMode.HYBRID
    dense = [hit.id for hit in store.client.search("beard", mode="dense")]
    assert dense[0] == "dough"
    assert ask(store, "beard", 5, mode=mode, alpha=1.0) == dense
    assert ask(store, "beard", 5, mode=mode, alpha=0.0)[0] == "shaved"


def test_maximal_marginal_relevance(store: MvdbVectorStore) -> None:
    store.add([TextNode(id_="gulls again", text="gulls follow the ferry .")])
    twins = {"gulls", "gulls again"}
    mode = VectorStoreQueryMode.MMR
    assert set(ask(store, TEXTS["gulls"], 2)) == twins
    assert len(set(ask(store, TEXTS["gulls"], 2, mode=mode, mmr_threshold=0.1)) & twins) == 1
    query = VectorStoreQuery(query_str=TEXTS["gulls"], similarity_top_k=2, mode=mode)
    among = store.query(query, mmr_threshold=0.1, mmr_prefetch_k=2)
    assert set(among.ids or ()) == twins


def test_a_vector_alone_is_a_query_of_one_token(store: MvdbVectorStore) -> None:
    vector = FakeEncoder().encode_queries(["rye"])[0][0].tolist()
    assert ask(store, None, 1, query_embedding=vector) == ["rye"]


def test_ids_and_documents_restrict_a_query(store: MvdbVectorStore) -> None:
    assert ask(store, node_ids=["gulls", "nobody"]) == ["gulls"]
    assert set(ask(store, doc_ids=["sea.md"])) == {"gulls", "ferry"}
    assert len(ask(store, node_ids=[], doc_ids=[])) == 4


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"mode": VectorStoreQueryMode.SVM}, "svm"),
        ({"mode": VectorStoreQueryMode.LINEAR_REGRESSION}, "linear_regression"),
        ({"mode": VectorStoreQueryMode.LOGISTIC_REGRESSION}, "logistic_regression"),
        ({"mode": VectorStoreQueryMode.SEMANTIC_HYBRID}, "semantic_hybrid"),
        ({"sparse_top_k": 5}, "sparse_top_k"),
        ({"output_fields": ["year"]}, "output_fields"),
        ({"embedding_field": "v"}, "embedding_field"),
        ({"text": None}, "neither query_str nor query_embedding"),
    ],
)
def test_what_mvdb_has_not_is_refused_by_name(
    store: MvdbVectorStore, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=named):
        ask(store, **fields)


def one(key: str, operator: FilterOperator, value: Any = None) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


FILTERS = [
    one("year", FilterOperator.EQ, 2021),
    one("year", FilterOperator.NE, 2021),
    one("note", FilterOperator.NE, "good"),
    one("year", FilterOperator.GT, 2021),
    one("year", FilterOperator.GTE, 2022.5),
    one("year", FilterOperator.LT, 2022),
    one("year", FilterOperator.LTE, 2021),
    one("title", FilterOperator.GT, "Ferry"),
    one("year", FilterOperator.IN, [2020, 2023]),
    one("title", FilterOperator.NIN, ["Gulls", "Ferry"]),
    one("note", FilterOperator.NIN, ["good"]),
    one("tags", FilterOperator.ANY, ["birds", "food"]),
    one("tags", FilterOperator.ALL, ["sea", "birds"]),
    one("title", FilterOperator.ALL, ["Dough", "bread"]),
    one("title", FilterOperator.ANY, ["Gull", "Rye"]),
    one("tags", FilterOperator.CONTAINS, "sea"),
    one("title", FilterOperator.CONTAINS, "bread"),
    one("title", FilterOperator.TEXT_MATCH, "bread"),
    *(
        MetadataFilters(
            filters=[
                MetadataFilter(key="tags", operator=FilterOperator.CONTAINS, value="sea"),
                MetadataFilter(key="year", operator=FilterOperator.GT, value=2021),
            ],
            condition=condition,
        )
        for condition in FilterCondition
    ),
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_match_the_same_as_llama_index_itself(
    store: MvdbVectorStore, filters: MetadataFilters
) -> None:
    matches = build_metadata_filter_fn(METADATA.__getitem__, filters)
    expected = {name for name in METADATA if matches(name)}
    assert set(ask(store, filters=filters)) == expected
    assert {node.node_id for node in store.get_nodes(filters=filters)} == expected


@pytest.mark.parametrize("key", ["note", "tags", "empty", "year", "nothing"])
def test_empty_is_missing_null_an_empty_string_or_an_empty_list(
    store: MvdbVectorStore, key: str
) -> None:
    """LlamaIndex's own function, the reference above, does not find null in its version 0.14.0."""
    expected = {name for name, fields in METADATA.items() if fields.get(key) in (None, "", [])}
    assert set(ask(store, filters=one(key, FilterOperator.IS_EMPTY))) == expected


def test_every_operator_is_translated_or_refused_by_name(store: MvdbVectorStore) -> None:
    asked = {part.operator for each in FILTERS for part in each.filters}
    others = {FilterOperator.TEXT_MATCH_INSENSITIVE, FilterOperator.IS_EMPTY}
    assert asked | others == set(FilterOperator)
    with pytest.raises(mvdb.FilterError, match=r"text_match_insensitive.*'title'"):
        ask(store, filters=one("title", FilterOperator.TEXT_MATCH_INSENSITIVE, "BREAD"))


def test_nested_filters(store: MvdbVectorStore) -> None:
    inner = MetadataFilters(
        filters=[
            MetadataFilter(key="year", value=2020),
            MetadataFilter(key="year", value=2021),
        ],
        condition=FilterCondition.OR,
    )
    outer = MetadataFilters(filters=[inner, MetadataFilter(key="title", value="Gulls")])
    assert ask(store, filters=outer) == ["gulls"]
    for _ in range(500):
        outer = MetadataFilters(filters=[outer])
    with pytest.raises(mvdb.FilterError, match="deep"):
        ask(store, filters=outer)


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        (one("year", FilterOperator.EQ, None), "is_empty"),
        (one("year", FilterOperator.EQ, [1]), r"filter\.year\.\$eq"),
        (one("year", FilterOperator.IN, 5), r"filter\.year\.\$in"),
        (one("tags", FilterOperator.ANY, "sea"), "'tags' any needs a list"),
        (one("year", FilterOperator.TEXT_MATCH, 5), "'year' text_match needs a string"),
        (one("$year", FilterOperator.EQ, 5), r"\$year"),
    ],
)
def test_malformed_filters_are_refused(
    store: MvdbVectorStore, filters: MetadataFilters, named: str
) -> None:
    with pytest.raises(mvdb.FilterError, match=named):
        ask(store, filters=filters)


def test_a_filter_of_mvdb_adds_to_the_others(store: MvdbVectorStore) -> None:
    query = VectorStoreQuery(
        query_str="bread", similarity_top_k=4, filters=one("tags", FilterOperator.CONTAINS, "sea")
    )
    assert store.query(query, filter={"year": {"$lt": 2021}}).ids == ["gulls"]


def test_deletion(store: MvdbVectorStore) -> None:
    newer = one("year", FilterOperator.GT, 2021)
    store.delete_nodes(["gulls", "ferry", "nobody"], newer)
    assert sorted(store.client.ids()) == ["dough", "gulls", "rye"]
    assert [node.node_id for node in store.get_nodes(["gulls", "rye"], newer)] == ["rye"]
    store.delete_nodes(filters=newer)
    assert sorted(store.client.ids()) == ["dough", "gulls"]
    with pytest.raises(mvdb.InvalidInputError, match="clear"):
        store.delete_nodes()
    store.delete("sea.md")
    assert list(store.client.ids()) == ["dough"]
    store.clear()
    assert len(store.client) == 0
    assert store.get_nodes() == []


def test_an_embedding_model_makes_one_vector_a_text(tmp_path: Path) -> None:
    with MvdbVectorStore(tmp_path / "a.mvdb", MockEmbedding(embed_dim=5)) as store:
        store.add(nodes())
        assert [rows.shape for rows in store.client.vectors(list(TEXTS))] == [(1, 5)] * 4
        assert len(ask(store)) == 4


def test_the_asynchronous_calls_do_the_same(tmp_path: Path) -> None:
    async def work(store: MvdbVectorStore) -> list[Any]:
        added = await store.async_add(nodes())
        query = VectorStoreQuery(query_str="rye bread", similarity_top_k=1)
        found = (await store.aquery(query)).ids
        kept = await store.aget_nodes(["rye"])
        retrieved = await MvdbRetriever(store, 1).aretrieve("rye bread")
        await store.adelete("sea.md")
        await store.adelete_nodes(["rye"])
        left = list(store.client.ids())
        await store.aclear()
        return [added, found, kept, [one.node.node_id for one in retrieved], left]

    with MvdbVectorStore(tmp_path / "a.mvdb", FakeEncoder()) as store:
        expected = [list(TEXTS), ["rye"], [nodes()[3]], ["rye"], ["dough"]]
        assert asyncio.run(work(store)) == expected
        assert len(store.client) == 0


def test_the_retriever_takes_filters_mode_and_options(store: MvdbVectorStore) -> None:
    def found(**options: Any) -> list[str]:
        return [one.node.node_id for one in MvdbRetriever(store, **options).retrieve("rye bread")]

    assert found(similarity_top_k=1) == ["rye"]
    assert set(found(filters=one("tags", FilterOperator.CONTAINS, "sea"))) == {"gulls", "ferry"}
    assert set(found(mode=VectorStoreQueryMode.TEXT_SEARCH)) == {"rye", "dough"}
    assert set(found(ids=["gulls"])) == {"gulls"}
    with pytest.raises(TypeError, match="colour"):
        found(colour="red")


def test_the_reranker_orders_by_maxsim() -> None:
    given = [NodeWithScore(node=node, score=0.0) for node in nodes()]
    reranker = MvdbReranker(encoder=FakeEncoder(), top_n=2)
    best = reranker.postprocess_nodes(given, query_str="rye bread")
    assert [one.node.node_id for one in best] == ["rye", "dough"]
    assert best[0].score == pytest.approx(2.0, abs=1e-5)  # both tokens are there
    assert [one.score for one in given] == [0.0] * 4
    assert reranker.postprocess_nodes([], query_str="rye") == []
    assert len(asyncio.run(reranker.apostprocess_nodes(given, QueryBundle("rye")))) == 2
    with pytest.raises(mvdb.InvalidInputError, match="query_bundle"):
        reranker.postprocess_nodes(given)
