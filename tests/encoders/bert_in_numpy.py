"""BERT's forward pass in numpy and float32, from its definition (Devlin et al. 2019)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mvdb.encoders.minilm_weights import HEADS, Dense, Norm, Weights

_erf = np.vectorize(math.erf, otypes=[np.float64])


def bert_in_numpy(weights: Weights, tokens: list[int]) -> Any:
    """Unit rows (n, 384) of one window of tokens."""
    words = weights.words.values[tokens] * weights.words.scale[tokens]
    positions = (weights.positions.values * weights.positions.scale)[: len(tokens)]
    x = normalised(words + positions + weights.segment, weights.norm)
    for layer in weights.layers:
        query, key, value = (
            heads(linear(x, part)) for part in (layer.query, layer.key, layer.value)
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[2])
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        mixed = (shares @ value).transpose(1, 0, 2).reshape(x.shape)
        x = normalised(x + linear(mixed, layer.output), layer.attention_norm)
        wide = linear(x, layer.intermediate)
        wide = wide * (1 + _erf(wide / np.sqrt(2))) / 2
        x = normalised(x + linear(wide, layer.down), layer.norm)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def linear(x: Any, dense: Dense) -> Any:
    return x @ (dense.matrix.values * dense.matrix.scale) + dense.bias


def normalised(x: Any, norm: Norm) -> Any:
    mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * norm.gain + norm.bias


def heads(x: Any) -> Any:
    return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)
