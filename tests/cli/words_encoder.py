"""A deterministic little encoder: a word's vector is drawn from its hash, so equal words match with
1 and different ones with about 0. Given to the commands as ``--encoder words_encoder:make``."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from mvdb.reading.blocks import Block
from mvdb.reading.formats import register_reader
from tests.support.patience import FOR_EVER

_WORD = re.compile(r"\w+")


class WordsEncoder:
    """One vector per word."""

    dim = 64
    name = "words"

    def __init__(self, batches: int | None = None) -> None:
        self._left = batches

    def encode_documents(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        if self._left is not None:
            if self._left == 0:
                time.sleep(FOR_EVER)
            self._left -= 1
        if log := os.environ.get("WORDS_ENCODER_LOG"):
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{len(texts)}\n")
        return [self._rows(text) for text in texts]

    def encode_queries(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        return [self._rows(text) for text in texts]

    def tokens(self, texts: Sequence[str], kind: str = "document") -> list[list[tuple[int, int]]]:
        return [[found.span() for found in _WORD.finditer(text)] or [(0, 0)] for text in texts]

    def _rows(self, text: str) -> NDArray[Any]:
        words = [text[first:last].lower() for first, last in self.tokens([text])[0]]
        return np.stack([_vector(word) for word in words])


def _vector(word: str) -> NDArray[Any]:
    seed = xxhash.xxh3_64_intdigest(word.encode())
    return np.random.default_rng(seed).standard_normal(WordsEncoder.dim).astype(np.float32)


def make() -> WordsEncoder:
    """With WORDS_ENCODER_BATCHES in the environment it encodes so many batches and sleeps then."""
    batches = os.environ.get("WORDS_ENCODER_BATCHES")
    return WordsEncoder(None if batches is None else int(batches))


def make_with_a_broken_reader() -> WordsEncoder:
    """Beside the encoder, a reader of files whose names end with .broken, which always fails."""

    def fails(_: str) -> list[Block]:
        raise ZeroDivisionError("of a reader")

    register_reader(".broken", fails)
    return make()


def make_refused() -> WordsEncoder:
    """For runs that must not load an encoder."""
    raise AssertionError("the encoder was loaded")


def make_other() -> WordsEncoder:
    """An encoder of another name."""
    encoder = WordsEncoder()
    encoder.name = "other words"
    return encoder


def make_nothing() -> object:
    """No encoder."""
    return object()
