"""Encoders that are none, that raise, and that give anything; and the names of `mvdb.encoders`.

A name with a lone surrogate raised UnicodeEncodeError, in the insert."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb import encoders
from tests.walk import calls
from tests.walk.bad_values import BAD, Own
from tests.walk.calls import DIM, matrix


class Encoder:
    """Gives what it was told to."""

    def __init__(self, **members: Any) -> None:
        self.dim, self.name, self.given = DIM, "an encoder", None
        vars(self).update(members)

    def encode_documents(self, texts: Any) -> Any:
        return self.given

    def encode_queries(self, texts: Any) -> Any:
        return self.given


TEXTS: dict[str, dict[str, Any]] = {
    "encode": {"texts": ["words"]},
    "explain": {"query": "words", "id": 1},
    "rerank": {"query": "words", "ids": [1]},
    "search": {"query": "words"},
    "search_batch": {"queries": ["words", matrix(1)]},
    "upsert": {"ids": ["x"], "texts": ["words"]},
    "insert_batches": {"batches": [{"ids": ["y"], "texts": ["words"]}]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.mvdb"
    calls.new_database(path).close()
    return path


@pytest.mark.parametrize("name", TEXTS)
def test_what_an_encoder_gives(path: Path, name: str) -> None:
    encoder = Encoder()
    wrong = []
    with mvdb.open(path, encoder=encoder, background=False) as db:
        for label, make in BAD.items():
            for wrap in (lambda value: value, lambda value: [value]):
                encoder.given = wrap(make())
                try:
                    calls.invoke(db, name, TEXTS[name])
                except BaseException as error:
                    if not calls.is_promised(error, own=(Own,)):
                        wrong.append(f"{label}: {error!r}"[:200])
    assert not wrong


MEMBERS = ["dim", "name", "pooling", "revision", "prefix", "encode_documents", "encode_queries"]


@pytest.mark.parametrize("member", MEMBERS)
def test_what_an_encoder_is(path: Path, member: str) -> None:
    wrong = []
    for label, make in BAD.items():
        try:
            encoder = Encoder(given=[matrix(1)], **{member: make()})
            fresh = path.with_name("fresh.mvdb")
            with mvdb.open(fresh, encoder=encoder, background=False) as db:
                db.insert("x", texts="words")
                db.search("words")
            with mvdb.open(fresh, encoder=encoder, background=False) as db:
                assert db.stats().documents == 1
        except BaseException as error:
            if not calls.is_promised(error, own=(Own,)):
                wrong.append(f"{label}: {error!r}"[:200])
        fresh.unlink(missing_ok=True)
    assert not wrong


def test_names_of_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(encoders.__all__) == {"DEFAULT_NAME", "KINDS", "Encoder", "default", "load"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wrong = []
    given = [
        5,
        None,
        "",
        "\ud800",
        b"\xff",
        "no/such/model",
        "onnx:no",
        "pylate:",
        os.fspath(tmp_path),
        tmp_path / "no",
    ]
    for name in given:
        try:
            encoders.load(name)  # type: ignore[arg-type]
        except BaseException as error:
            if not calls.is_promised(error):
                wrong.append(f"{name!r}: {error!r}")
    assert not wrong
