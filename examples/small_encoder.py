"""The encoder of the examples: the default one, or a stand-in where mvdb-engine[text] is missing.

The stand-in knows no meanings. A word's vector is the sum of random vectors of its groups of three
letters, so that "walks" is like "walking", and that is all."""

import hashlib
import re

import numpy as np

from mvdb import encoders


class SmallEncoder:
    """One vector a word."""

    dim = 64
    name = "examples-small"

    def encode_documents(self, texts):
        return [self._matrix(text) for text in texts]

    def encode_queries(self, texts):
        return [self._matrix(text) for text in texts]

    def _matrix(self, text):
        words = re.findall(r"\w+", text.lower()) or [""]
        return np.stack([sum(map(self._vector, self._groups(word))) for word in words])

    def _groups(self, word):
        padded = f"<{word}>"
        return [padded[first : first + 3] for first in range(max(1, len(padded) - 2))]

    def _vector(self, group):
        seed = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big")
        return np.random.default_rng(seed).standard_normal(self.dim).astype(np.float32)


def choose():
    """The default encoder if its libraries are installed, else the stand-in."""
    try:
        return encoders.default()
    except ImportError:
        return SmallEncoder()
