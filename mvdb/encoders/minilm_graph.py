"""all-MiniLM-L6-v2 with projection as an ONNX graph for ONNX Runtime, in int8.

Input `tokens` (1, n) int64, 1 <= n <= 512, all of them seen by all others: one window, no padding.
Output `rows` (n, dim) float32 of unit length. The model: Devlin et al. 2019 (BERT), Wang et al.
2020 (MiniLM).

Matrix products are of int8: weights with a scale for each column, activations uint8 with one scale
and offset for the whole window, taken from their least and greatest value ("dynamic
quantisation"). One window a run, so a text's rows do not depend on other texts of the call, and no
time goes to padding. On one thread windows of 8 tokens have half the rate of a batch of eight,
windows from 64 tokens the same, windows of 256 one and a half times that rate.

Layer normalisation is written in elementary operators: those of ONNX Runtime 1.32 are vectorised,
its `SkipLayerNormalization` is not and takes four times as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvdb.encoders.minilm_weights import HEADS, HIDDEN, Dense, Layer, Norm, Weights
from mvdb.encoders.onnx_graph import MICROSOFT, Graph

_EPSILON = 1e-12


def minilm_graph(weights: Weights, projection: NDArray[np.float32] | None) -> Graph:
    """The graph of a model, with a (384, dim) projection or none (dim 384)."""
    graph = Graph()
    value = _embed(graph, weights)
    for layer in weights.layers:
        value = _layer(graph, layer, value)
    rows = _unit(graph, value)
    dim = HIDDEN
    if projection is not None:
        dim = projection.shape[1]
        [rows] = graph.add("MatMul", rows, graph.constant(projection))
        rows = _unit(graph, rows)
    [rows] = graph.add("Squeeze", rows, graph.constant(np.array([0])))
    graph.output("rows", rows, ["n", dim])
    return graph


def _embed(graph: Graph, weights: Weights) -> str:
    tokens = graph.input("tokens", np.int64, [1, "n"])
    words = weights.words
    [integers] = graph.add("Gather", graph.constant(words.values), tokens)
    [numbers] = graph.add("Cast", integers, to=1)
    [scales] = graph.add("Gather", graph.constant(words.scale), tokens)
    [values] = graph.add("Mul", numbers, scales)
    positions = weights.positions.values * weights.positions.scale + weights.segment
    [length] = graph.add("Shape", tokens, start=1)
    start, axis = graph.constant(np.array([0])), graph.constant(np.array([0]))
    [places] = graph.add("Slice", graph.constant(positions), start, length, axis)
    [values] = graph.add("Add", values, places)
    return _normalise(graph, values, weights.norm)


def _layer(graph: Graph, layer: Layer, value: str) -> str:
    attended = _dense(graph, layer.output, _attend(graph, layer, value))
    [value] = graph.add("Add", attended, value)
    value = _normalise(graph, value, layer.attention_norm)
    wide = _dense(graph, layer.intermediate, value)
    [wide] = graph.add("Gelu", wide, domain=MICROSOFT)
    [value] = graph.add("Add", _dense(graph, layer.down, wide), value)
    return _normalise(graph, value, layer.norm)


def _attend(graph: Graph, layer: Layer, value: str) -> str:
    parts = (layer.query, layer.key, layer.value)
    weights = np.concatenate([part.matrix.values for part in parts], axis=1)
    quantised, scale, offset = graph.add("DynamicQuantizeLinear", value, outputs=3)
    [attended] = graph.add(
        "QAttention",
        quantised,
        graph.constant(weights),
        graph.constant(np.concatenate([part.bias for part in parts])),
        scale,
        graph.constant(np.concatenate([part.matrix.scale for part in parts])),
        "",  # no mask
        offset,
        graph.constant(np.zeros(weights.shape[1], np.int8)),
        domain=MICROSOFT,
        num_heads=HEADS,
    )
    return attended


def _dense(graph: Graph, dense: Dense, value: str) -> str:
    weights, scale = graph.constant(dense.matrix.values), graph.constant(dense.matrix.scale)
    bias = graph.constant(dense.bias)
    [value] = graph.add("DynamicQuantizeMatMul", value, weights, scale, "", bias, domain=MICROSOFT)
    return value


def _normalise(graph: Graph, value: str, norm: Norm) -> str:
    """(x - mean) / sqrt(variance + epsilon) * gain + bias, along the last dimension."""
    [mean] = graph.add("ReduceMean", value, axes=[-1])
    [centred] = graph.add("Sub", value, mean)
    [squares] = graph.add("Mul", centred, centred)
    [variance] = graph.add("ReduceMean", squares, axes=[-1])
    [variance] = graph.add("Add", variance, graph.constant(np.array([_EPSILON], np.float32)))
    [deviation] = graph.add("Sqrt", variance)
    [inverse] = graph.add("Reciprocal", deviation)
    [value] = graph.add("Mul", centred, inverse)
    [value] = graph.add("Mul", value, graph.constant(norm.gain))
    [value] = graph.add("Add", value, graph.constant(norm.bias))
    return value


def _unit(graph: Graph, value: str) -> str:
    """Rows of length 1."""
    [length] = graph.add("ReduceL2", value, axes=[-1])
    [value] = graph.add("Div", value, length)
    return value
