"""Encoders: texts in the place of vectors, and the guard against mixing encoders."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.helpers import DIM, FakeEncoder, content, matrix, refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


@pytest.fixture
def db(path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(path, encoder=FakeEncoder()) as database:
        database.insert(["cat", "dog"], texts=["a cat sat", "the dog ran home"])
        yield database


def test_texts_alone_are_encoded_and_searched_in_words(db: mvdb.Database) -> None:
    assert db.dim == DIM
    hits = db.search("dog ran", k=2, mode="dense")
    assert [hit.id for hit in hits] == ["dog", "cat"]
    assert hits[0].text == "the dog ran home"
    assert hits[0].score == pytest.approx(2, abs=0.01)
    assert [document and document.n_tokens for document in db.get(["cat", "dog"])] == [3, 4]
    assert db.rerank("cat", ["dog", "cat"])[0].id == "cat"
    assert db.explain("cat sat", "cat").scores.shape == (2, 3)
    assert db.profile("cat").hits[0].id == "cat"
    with db.snapshot() as snap:
        assert snap.search("cat", 1)[0].id == "cat"
    with db.transaction() as txn:
        txn.upsert("cat", texts="a bird flew")
        assert txn.search("bird", 1)[0].id == "cat"


def test_a_batch_may_mix_words_and_vectors_and_is_encoded_at_once(path: Path) -> None:
    encoder = FakeEncoder()
    with mvdb.open(path, encoder=encoder) as db:
        db.insert(["cat", "dog"], texts=["a cat", "a dog"])
        vectors = encoder.encode_queries(["dog"])[0]
        encoder.calls.clear()
        rows = db.search_batch(["cat", vectors, "dog"], 1)
        assert [hits[0].id for hits in rows] == ["cat", "dog", "dog"]
        assert encoder.calls == [("queries", ["cat", "dog"])]


def test_texts_are_encoded_before_they_are_inserted(path: Path) -> None:
    encoder = FakeEncoder()
    with mvdb.open(path, dim=DIM) as db:
        vectors = db.encode(["the title a cat", "a dog"], encoder=encoder)
        assert encoder.calls == [("documents", ["the title a cat", "a dog"])]
        assert len(db) == 0
        db.insert(["cat", "dog"], vectors, texts=["a cat", "a dog"])
        assert db.stats().encoder == encoder.name
        cat, _ = db.get(["cat", "dog"])
        assert cat is not None
        assert (cat.text, cat.n_tokens) == ("a cat", 4)
    with mvdb.open(path, encoder=encoder) as db:
        assert db.search("title", 1, mode="dense")[0].id == "cat"
        assert [len(rows) for rows in db.encode(["a cat"])] == [2]
    with mvdb.open(path, dim=DIM) as db:
        with refused(db, mvdb.InvalidInputError, "needs an encoder", "mvdb.open(encoder=...)"):
            db.encode(["words"])
        for texts in ("words", [1], [None], ["\ud800"], 5):
            with refused(db, mvdb.InvalidInputError, "texts"):
                db.encode(texts, encoder=encoder)  # type: ignore[arg-type]


def test_vectors_encoded_by_another_encoder_are_refused(db: mvdb.Database) -> None:
    other = FakeEncoder()
    other.name = "other"
    vectors = db.encode(["a bird"], encoder=other)
    for call in (db.insert, db.upsert):
        with refused(db, mvdb.EncoderMismatchError, "'other'", "allow_encoder_mismatch=True"):
            call(["bird"], vectors)
    with refused(db, mvdb.EncoderMismatchError, "'other'"):
        db.insert_batches([(["bird"], vectors)])
    # Matrices alone know no encoder: whoever gives them answers for them.
    db.insert(["bird"], list(vectors))


def test_vectors_win_over_texts(path: Path) -> None:
    encoder = FakeEncoder()
    with mvdb.open(path, encoder=encoder) as db:
        db.insert("a", matrix(1), texts="not encoded")
        assert encoder.calls == []
        assert db.stats().encoder is None
        assert db.get("a") == [mvdb.Document("a", "not encoded", None, 3)]


def test_streams_of_texts(path: Path) -> None:
    with mvdb.open(path, encoder=FakeEncoder()) as db:
        batches = [
            {"ids": range(i, i + 3), "texts": [f"word{j}" for j in range(i, i + 3)]}
            for i in (0, 2, 4)
        ]
        assert db.insert_batches(batches) == 7
        assert db.search("word6", 1)[0].id == 6


def test_the_encoders_name_is_kept_in_the_file(db: mvdb.Database, path: Path) -> None:
    assert db.stats().encoder == "fake"
    db.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mvdb.open(path, encoder=FakeEncoder()) as again:
            assert again.search("cat", 1)[0].id == "cat"
        with mvdb.open(path) as without:
            assert without.stats().encoder == "fake"
            assert len(without.search(matrix(1))) == 2


def test_another_encoder_warns_at_open_and_is_refused_at_use(db: mvdb.Database, path: Path) -> None:
    db.close()
    with pytest.warns(UserWarning, match="'fake'.*'other'") as caught:
        other = mvdb.open(path, encoder=FakeEncoder("other"))
    assert caught[0].filename == __file__
    with other:
        with refused(other, mvdb.EncoderMismatchError, "'fake'", "'other'", "same encoder"):
            other.search("cat")
        with refused(other, mvdb.EncoderMismatchError, "'fake'", "'other'"):
            other.insert("new", texts="words")
        assert len(other.search(matrix(1))) == 2
        other.insert("vectors", matrix(2))
    with pytest.warns(UserWarning, match="'fake'.*'other'"):
        allowed = mvdb.open(path, encoder=FakeEncoder("other"), allow_encoder_mismatch=True)
    with allowed:
        assert allowed.search("cat", 1)[0].id == "cat"
        allowed.insert("new", texts="words")
        assert allowed.stats().encoder == "fake"


def with_members(**members: str) -> FakeEncoder:
    encoder = FakeEncoder()
    vars(encoder).update(members)
    return encoder


@pytest.mark.parametrize("member", ["revision", "prefix"])
def test_revision_and_prefix_are_guarded_when_both_sides_tell_them(path: Path, member: str) -> None:
    with mvdb.open(path, encoder=with_members(**{member: "one"})) as db:
        db.insert("cat", texts="cat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for encoder in (with_members(**{member: "one"}), FakeEncoder()):
            with mvdb.open(path, encoder=encoder) as db:
                assert db.search("cat", 1)[0].id == "cat"
    with pytest.warns(UserWarning, match=f"{member} one.*{member} two"):
        other = mvdb.open(path, encoder=with_members(**{member: "two"}))
    with other, refused(other, mvdb.EncoderMismatchError, f"{member} one", f"{member} two"):
        other.search("cat")


def test_a_file_that_knows_no_revision_takes_an_encoder_with_one(
    db: mvdb.Database, path: Path
) -> None:
    db.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mvdb.open(path, encoder=with_members(revision="2", prefix="> ")) as again:
            assert again.search("cat", 1)[0].id == "cat"


def test_an_encoder_of_another_dim_is_refused_at_open(db: mvdb.Database, path: Path) -> None:
    db.close()
    with pytest.raises(mvdb.DimensionMismatch, match=f"dim {DIM}, not 16"):
        mvdb.open(path, encoder=FakeEncoder(dim=16))
    with pytest.raises(mvdb.DimensionMismatch, match=r"encoder.*16"):
        mvdb.open(path.with_name("new.mvdb"), dim=4, encoder=FakeEncoder(dim=16))


def test_without_an_encoder_words_are_refused(path: Path) -> None:
    with mvdb.open(path, dim=DIM, lexical=False) as db:
        db.insert("a", matrix(1))
        with refused(db, mvdb.InvalidInputError, "no lexical index", "mvdb.open(encoder=...)"):
            db.search("words")
        with refused(db, mvdb.InvalidInputError, "needs an encoder"):
            db.search("words", mode="dense")
        with refused(db, mvdb.InvalidInputError, "needs an encoder"):
            db.insert("b", texts="words")
        with refused(db, mvdb.InvalidInputError, "'b'", "neither embeddings nor a text"):
            db.insert("b")


def test_a_document_with_neither_vectors_nor_text_is_named(db: mvdb.Database) -> None:
    with refused(db, mvdb.InvalidInputError, "'b'", "neither embeddings nor a text"):
        db.insert(["a", "b"], texts=["words", None])


@pytest.mark.parametrize("encoder", [5, object(), "default"])
def test_what_is_no_encoder_is_refused_at_open(path: Path, encoder: Any) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=r"encoder: .* has no encode_documents"):
        mvdb.open(path, dim=DIM, encoder=encoder)
    assert not path.exists()


class Faulty(FakeEncoder):
    """Gives what an encoder should not."""

    def __init__(self, gives: Any) -> None:
        super().__init__()
        self.gives = gives

    def encode_documents(self, texts: Any) -> Any:
        return self.gives

    encode_queries = encode_documents


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ([], "0 matrices for 1 texts"),
        ([matrix(1), matrix(2)], "2 matrices for 1 texts"),
        ([np.full((2, DIM), np.nan)], "not finite"),
        ([np.zeros((2, DIM))], "zero"),
        ([np.ones((2, DIM), np.int64)], "dtype int64"),
    ],
)
def test_a_faulty_encoder_changes_nothing(path: Path, gives: Any, says: str) -> None:
    with mvdb.open(path, encoder=Faulty(gives)) as db:
        with refused(db, mvdb.InvalidInputError, says):
            db.insert("a", texts="words")
        with refused(db, mvdb.InvalidInputError, says):
            db.search("words")
        assert db.stats().encoder is None


def test_an_encoder_that_fails_rolls_back(db: mvdb.Database, path: Path) -> None:
    before = content(path)

    def fail(texts: Any) -> Any:
        raise MemoryError

    db._engine.encoder.encoder.encode_documents = fail
    with pytest.raises(MemoryError):
        db.upsert("cat", texts="new words")
    assert content(path) == before
