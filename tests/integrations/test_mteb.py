"""A retrieval task of MTEB, end to end without a network, on a data set that is made here."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

mteb = pytest.importorskip("mteb", reason="mteb is not installed")
datasets = pytest.importorskip("datasets")

from mteb.abstasks.retrieval import AbsTaskRetrieval  # noqa: E402
from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402

import mvdb  # noqa: E402
from mvdb.integrations.mteb import MvdbSearch  # noqa: E402

DIM = 48
FRUIT = ("apple", "pear", "plum", "fig", "grape", "melon")
PLACE = ("garden", "harbour", "market", "kitchen", "meadow", "attic")


class Words:
    """A fixed random vector for each word."""

    dim = DIM
    name = "maker/random-words"
    revision = "r1"

    def __init__(self) -> None:
        self.documents = 0

    def encode_documents(self, texts: Sequence[str], /) -> list[Any]:
        self.documents += len(texts)
        return [self._rows(text) for text in texts]

    def encode_queries(self, texts: Sequence[str], /) -> list[Any]:
        return [self._rows(text) for text in texts]

    def _rows(self, text: str) -> Any:
        words = re.findall(r"\w+", text.lower()) or [""]
        rows = [np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM) for word in words]
        return np.stack(rows).astype(np.float32)


def metadata(kind: str) -> TaskMetadata:
    return TaskMetadata(
        name=f"LocalFruit{kind}",
        dataset={"path": "local/fruit", "revision": "1"},
        description="Which fruit is where?",
        type=kind,
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        reference=None,
        date=("2020-01-01", "2020-01-02"),
        domains=["Web"],
        task_subtypes=[],
        license="cc0-1.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        bibtex_citation="",
    )


def make_split(reranked: bool) -> dict[str, Any]:
    """A document for each fruit in each place; the title has the fruit. Of each query one document
    is relevant."""
    pairs = [(fruit, place) for fruit in FRUIT for place in PLACE]
    corpus = [
        {"id": f"{fruit}-{place}", "title": fruit.title(), "text": f"It lies in the {place}."}
        for fruit, place in pairs
    ]
    queries = [
        {"id": f"q-{fruit}-{place}", "text": f"{fruit} {place}"} for fruit, place in pairs[::5]
    ]
    relevant = {f"q-{fruit}-{place}": {f"{fruit}-{place}": 1} for fruit, place in pairs[::5]}
    candidates = {
        query: [next(iter(documents)), "fig-attic", "plum-market"]
        for query, documents in relevant.items()
    }
    return {
        "corpus": datasets.Dataset.from_list(corpus),
        "queries": datasets.Dataset.from_list(queries),
        "relevant_docs": relevant,
        "top_ranked": candidates if reranked else None,
    }


class LocalRetrieval(AbsTaskRetrieval):
    metadata = metadata("Retrieval")

    def load_data(self, *args: Any, **kwargs: Any) -> None:
        self.dataset = {"default": {"test": make_split(reranked=False)}}
        self.data_loaded = True


class LocalReranking(LocalRetrieval):
    metadata = metadata("Reranking")

    def load_data(self, *args: Any, **kwargs: Any) -> None:
        self.dataset = {"default": {"test": make_split(reranked=True)}}
        self.data_loaded = True


@pytest.fixture
def search(tmp_path: Path) -> Iterator[MvdbSearch]:
    made = MvdbSearch(Words(), tmp_path / "files")
    yield made
    made.close()


def evaluated(search: MvdbSearch, task: AbsTaskRetrieval) -> dict[str, Any]:
    result = mteb.evaluate(search, task, cache=None, encode_kwargs={})
    scores: dict[str, Any] = result.task_results[0].scores["test"][0]
    return scores


def test_it_is_a_search_protocol(search: MvdbSearch) -> None:
    assert isinstance(search, mteb.SearchProtocol)
    meta = search.mteb_model_meta
    assert meta.name == "mvdb/maker__random-words"
    assert meta.revision == "r1"
    assert meta.embed_dim == DIM
    assert meta.similarity_fn_name == mteb.models.model_meta.ScoringFunction.MAX_SIM


def test_results_of_other_settings_have_another_name() -> None:
    names = set()
    for options in ({}, {"bits": 2}, {"exact": True}, {"mode": "hybrid"}, {"nprobe": 3}):
        made = MvdbSearch(Words(), **options)
        names.add(made.mteb_model_meta.model_name_with_experiment)
        made.close()
    assert len(names) == 5


def test_a_retrieval_task(search: MvdbSearch) -> None:
    """Both words of a query are in the one relevant document, one of them in the title."""
    scores = evaluated(search, LocalRetrieval())
    assert scores["ndcg_at_10"] == pytest.approx(1.0)
    assert scores["recall_at_1000"] == pytest.approx(1.0)


def test_a_reranking_task(search: MvdbSearch) -> None:
    assert evaluated(search, LocalReranking())["map_at_1000"] == pytest.approx(1.0)


def test_a_second_evaluation_encodes_no_document(tmp_path: Path) -> None:
    for expected in (36, 0):
        encoder = Words()
        made = MvdbSearch(encoder, tmp_path / "files")
        assert evaluated(made, LocalRetrieval())["ndcg_at_10"] == pytest.approx(1.0)
        made.close()
        assert encoder.documents == expected
    (file,) = (tmp_path / "files").glob("*.mvdb")
    assert "LocalFruitRetrieval" in file.name
    with mvdb.open(file) as db:
        assert len(db) == 36
        assert db.stats().encoder == Words.name


def test_documents_that_left_the_task_leave_the_file(search: MvdbSearch) -> None:
    split = make_split(reranked=False)
    where = {
        "task_metadata": LocalRetrieval.metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {},
    }
    search.index(split["corpus"], **where)
    search.index(split["corpus"].select(range(10)), **where)
    found = search.search(split["queries"], top_k=100, **where)
    assert len(found) == len(split["queries"])
    assert all(set(one) == set(split["corpus"]["id"][:10]) for one in found.values())


def test_a_temporary_folder_is_removed() -> None:
    made = MvdbSearch(Words())
    evaluated(made, LocalRetrieval())
    made.close()
    made.close()


def test_instructions_follow_the_query(search: MvdbSearch) -> None:
    corpus = datasets.Dataset.from_list(
        [{"id": "a", "text": "apple"}, {"id": "b", "text": "apple garden"}]
    )
    queries = datasets.Dataset.from_list([{"id": "q", "text": "apple", "instruction": "garden"}])
    where = {"task_metadata": LocalRetrieval.metadata, "hf_split": "test", "hf_subset": "default"}
    search.index(corpus, encode_kwargs={}, **where)
    found = search.search(queries, top_k=2, encode_kwargs={}, **where)["q"]
    assert found["b"] == pytest.approx(2, abs=0.05)
    assert found["a"] < 1.9


def test_bad_input(search: MvdbSearch) -> None:
    where = {
        "task_metadata": LocalRetrieval.metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {},
    }
    split = make_split(reranked=False)
    with pytest.raises(ValueError, match=r"call index\(\) for default, test before"):
        search.search(split["queries"], top_k=3, **where)
    with pytest.raises(ValueError, match="documents without a text; the columns are id"):
        search.index(datasets.Dataset.from_list([{"id": "a"}]), **where)
    search.index(split["corpus"], **where)
    with pytest.raises(ValueError, match=r"call index\(\) for default, dev"):
        search.search(split["queries"], top_k=3, **{**where, "hf_split": "dev"})
    turns = datasets.Dataset.from_list([{"id": "q", "text": ["a", "b"]}])
    with pytest.raises(ValueError, match="query 'q': a str is needed"):
        search.search(turns, top_k=3, **where)
