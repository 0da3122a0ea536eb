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

_WORD = re.compile(r"\w+")


class WordsEncoder:
    """One vector per word."""

    dim = 64
    name = "words"

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause

    def encode_documents(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        time.sleep(self._pause)
        return [self._rows(text) for text in texts]

    def encode_queries(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        return [self._rows(text) for text in texts]

    def document_tokens(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in _WORD.finditer(text)] or [(0, 0)]

    def _rows(self, text: str) -> NDArray[Any]:
        words = [text[first:last].lower() for first, last in self.document_tokens(text)]
        return np.stack([_vector(word) for word in words])


def _vector(word: str) -> NDArray[Any]:
    seed = xxhash.xxh3_64_intdigest(word.encode())
    return np.random.default_rng(seed).standard_normal(WordsEncoder.dim).astype(np.float32)


def make() -> WordsEncoder:
    """Ready at once, but for the seconds per batch that WORDS_ENCODER_PAUSE may ask for."""
    return WordsEncoder(float(os.environ.get("WORDS_ENCODER_PAUSE", "0")))


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
