"""mvdb as the sparse index of txtai's embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.helpers import FakeEncoder
from tests.integrations.frameworks import need

need("txtai")

from txtai import Embeddings  # noqa: E402

from mvdb.integrations.txtai import MvdbScoring  # noqa: E402

TEXTS = ["gulls follow the ferry", "knead the bread dough", "the ferry leaves at nine", "rye bread"]


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    """What a name of an encoder stands for."""
    made = FakeEncoder()
    monkeypatch.setattr(mvdb.encoders, "load", lambda name: made)
    return made


def scoring(**options: Any) -> dict[str, Any]:
    return {
        "method": "mvdb.integrations.txtai.MvdbScoring",
        "terms": True,
        "encoder": "a",
        **options,
    }


@pytest.fixture
def embeddings() -> Iterator[Embeddings]:
    made = Embeddings(defaults=False, scoring=scoring())
    made.index(TEXTS)
    yield made
    made.close()


def test_an_index_is_searched_by_meaning_and_words(embeddings: Embeddings) -> None:
    assert isinstance(embeddings.scoring, MvdbScoring)
    assert embeddings.count() == 4
    found = embeddings.search("rye bread", 4)
    assert found[0][0] == 3
    assert len(found) == 3  # one without the words, too; txtai drops the score 0 of the last one
    assert all(0 < score <= 1 for _, score in found)
    assert embeddings.batchsearch(["rye bread", "gulls"], 1) == [
        embeddings.search("rye bread", 1),
        embeddings.search("gulls", 1),
    ]


def test_documents_are_added_replaced_and_deleted(embeddings: Embeddings) -> None:
    embeddings.upsert([(1, "white bread", None), ("new", "a boat", None)])
    assert embeddings.count() == 5
    assert embeddings.search("white bread", 1)[0][0] == 1
    assert embeddings.search("boat", 1)[0][0] == "new"
    assert embeddings.delete(["new", 3]) == ["new", 3]
    assert embeddings.count() == 3


def test_an_index_is_saved_and_loaded_and_the_saved_one_stays(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    path = str(tmp_path / "index")
    embeddings.save(path)
    embeddings.save(path)  # in place of the first
    with mvdb.open(Path(path, "scoring"), readonly=True) as db:
        assert db.verify().ok
        assert len(db) == 4
    again = Embeddings()
    again.load(path)
    try:
        assert again.search("rye bread", 4) == embeddings.search("rye bread", 4)
        again.delete([0])
        assert again.count() == 3
        third = Embeddings()
        third.load(path)
        assert third.count() == 4
        third.close()
    finally:
        again.close()


def test_tokens_and_dicts_are_texts_and_other_objects_are_not() -> None:
    made = MvdbScoring(scoring(mode="dense"))
    try:
        made.insert(
            [(0, {"text": "rye bread"}, None), (1, ["the", "ferry"], None), (2, b"x", None)]
        )
        made.insert([("x", None, None), ("y", "gulls", None), ("z", "boats", None)], index=7)
        assert made.count() == 4
        assert made.search("gulls", 1)[0] == pytest.approx((7, 1.0), abs=0.1)
        assert made.search("boats", 1)[0][0] == 8
        assert made.isnormalized() is False
    finally:
        made.close()


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(mvdb.InvalidInputError, match="mode"):
        MvdbScoring(scoring(mode="fast"))
