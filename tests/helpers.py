"""Small documents, and a way to compare the content of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.support.model import Floats, Id

DIM = 8


def matrix(seed: int, tokens: int = 3, dim: int = DIM) -> Floats:
    """Token vectors, not of unit length."""
    rng = np.random.default_rng([seed, tokens, dim])
    return (rng.standard_normal((tokens, dim)) * 3).astype(np.float32)


def fill(db: mvdb.Database, count: int, first: int = 0, tokens: int = 3) -> None:
    """Documents first .. first + count - 1, each with a text and metadata."""
    numbers = range(first, first + count)
    db.insert(
        list(numbers),
        [matrix(i, tokens, db.dim) for i in numbers],
        texts=[f"text {i}" for i in numbers],
        metadata=[{"n": i, "even": i % 2 == 0} for i in numbers],
    )


def content(path: Path | str) -> dict[Id, tuple[Any, ...]]:
    """Everything in a file, through a handle of its own."""
    with mvdb.open(path, readonly=True) as db:
        assert db.verify().ok
        names = list(db.ids())
        documents = db.get(names)
        vectors = db.vectors(names)
    result: dict[Id, tuple[Any, ...]] = {}
    for document, rows in zip(documents, vectors, strict=True):
        assert document is not None
        result[document.id] = (document.text, document.metadata, rows.tobytes())
    return result


@contextmanager
def refused(
    db: mvdb.Database, error: type[Exception], *parts: str
) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """The block raises exactly `error`, an `mvdb.Error` whose message has all `parts`; the content
    stays as it was and the handle goes on."""
    before = content(db.path)
    with pytest.raises(error) as caught:
        yield caught
    assert type(caught.value) is error
    assert isinstance(caught.value, mvdb.Error)
    message = str(caught.value)
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"
    assert "\n" not in message
    assert content(db.path) == before
    db.insert("after the refusal", matrix(99, dim=db.dim))
    assert db.delete("after the refusal") == 1


class FakeEncoder:
    """Deterministic vectors for texts: one per word."""

    def __init__(self, name: str = "fake", dim: int = DIM) -> None:
        self.name = name
        self.dim = dim
        self.calls: list[tuple[str, list[str]]] = []

    def _encode(self, text: str) -> Floats:
        words = text.split() or [""]
        return np.concatenate([matrix(sum(word.encode()), 1, self.dim) for word in words])

    def encode_documents(self, texts: Sequence[str]) -> list[Floats]:
        self.calls.append(("documents", list(texts)))
        return [self._encode(text) for text in texts]

    def encode_queries(self, texts: Sequence[str]) -> list[Floats]:
        self.calls.append(("queries", list(texts)))
        return [self._encode(text) for text in texts]
