"""A model in ONNX's format, written operator by operator for ONNX Runtime.

Arrays larger than `_INSIDE` bytes are no part of the model's bytes: the session gets them from
memory (``add_external_initializers``), so that those that are mapped from a file are not copied.
Field numbers: ``onnx.proto`` of ONNX 1.17, IR version 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.encoders.protobuf import bytes_field, float_field, whole_field

Attribute = int | float | Sequence[int]
ONNX, MICROSOFT = "", "com.microsoft"
"""Domains of operators: ONNX's own and those of ONNX Runtime."""

_INSIDE = 1 << 14
_OPSETS = {ONNX: 17, MICROSOFT: 1}
_IR_VERSION = 10
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int8): 3, np.dtype(np.int64): 7}
_EXTERNAL = 1
_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE, _INTS_ATTRIBUTE = 1, 2, 7


class Graph:
    """A graph under construction. Values have names; ``add`` and ``constant`` make them up."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        """The arrays that are outside the model's bytes, by name."""
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._count = 0

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        """An input; a dimension without a fixed size is a name."""
        self._inputs.append(bytes_field(11, _value_info(name, dtype, shape)))
        return name

    def output(self, name: str, value: str, shape: Sequence[int | str]) -> None:
        """Makes a float32 value an output of this name."""
        self._nodes.append(bytes_field(1, _node("Identity", [value], [name], ONNX, {})))
        self._outputs.append(bytes_field(12, _value_info(name, np.float32, shape)))

    def constant(self, value: NDArray[Any]) -> str:
        """An array."""
        array = np.ascontiguousarray(value).reshape(value.shape)  # a scalar stays one
        name = self._name()
        tensor = b"".join(whole_field(1, length) for length in value.shape)
        tensor += whole_field(2, _TYPES[array.dtype]) + bytes_field(8, name)
        if array.nbytes > _INSIDE:
            self.arrays[name] = array
            for key, text in {"location": name, "length": str(array.nbytes)}.items():
                tensor += bytes_field(13, bytes_field(1, key) + bytes_field(2, text))
            tensor += whole_field(14, _EXTERNAL)
        else:
            tensor += bytes_field(9, array.tobytes())
        self._constants.append(bytes_field(5, tensor))
        return name

    def add(
        self,
        operator: str,
        *inputs: str,
        domain: str = ONNX,
        outputs: int = 1,
        **attributes: Attribute,
    ) -> list[str]:
        """The outputs of an operator. An input ``""`` is one left out."""
        names = [self._name() for _ in range(outputs)]
        self._nodes.append(bytes_field(1, _node(operator, inputs, names, domain, attributes)))
        return names

    def model(self) -> bytes:
        """The whole model."""
        parts = [*self._nodes, bytes_field(2, "mvdb")]
        parts += self._constants + self._inputs + self._outputs
        model = whole_field(1, _IR_VERSION) + bytes_field(7, b"".join(parts))
        for domain, version in _OPSETS.items():
            model += bytes_field(8, bytes_field(1, domain) + whole_field(2, version))
        return model

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    domain: str,
    attributes: Mapping[str, Attribute],
) -> bytes:
    parts = [bytes_field(1, name) for name in inputs] + [bytes_field(2, name) for name in outputs]
    parts += [bytes_field(4, operator), bytes_field(7, domain)]
    parts += [bytes_field(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    start = bytes_field(1, name)
    if isinstance(value, float):
        return start + float_field(2, value) + whole_field(20, _FLOAT_ATTRIBUTE)
    if isinstance(value, int):
        return start + whole_field(3, value) + whole_field(20, _INT_ATTRIBUTE)
    numbers = b"".join(whole_field(8, number) for number in value)
    return start + numbers + whole_field(20, _INTS_ATTRIBUTE)


def _value_info(name: str, dtype: Any, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(
        bytes_field(1, whole_field(1, size) if isinstance(size, int) else bytes_field(2, size))
        for size in shape
    )
    tensor = whole_field(1, _TYPES[np.dtype(dtype)]) + bytes_field(2, sizes)
    return bytes_field(1, name) + bytes_field(2, bytes_field(1, tensor))
