"""Sessions of ONNX Runtime as the encoders use them.

A run takes one thread, and encoders run several at once on threads of their own (`mvdb.threads`):
no pool of ONNX Runtime stands beside them, whose threads would spin while mvdb computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mvdb import core

_ERRORS_ONLY = 3
_HAVE_BYTE_PRODUCTS = {"amx", "avx512", "avxvnni"}
"""Instruction sets of x86-64 with a product of uint8 and int8 that does not saturate (VNNI)."""


class Session:
    """A model that is ready to run. Thread-safe."""

    def __init__(self, model: bytes | str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """model: an ONNX model or the path of its file; arrays: those outside of it, by name. They
        are used where they are."""
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
        options = _options()
        if values:
            options.add_external_initializers(list(arrays), values)
        self._arrays = arrays  # ONNX Runtime keeps their addresses alone
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.inputs: list[str] = [value.name for value in self._session.get_inputs()]
        self.outputs: list[str] = [value.name for value in self._session.get_outputs()]

    def run(self, output: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """One output for these inputs."""
        [value] = self._session.run([output], dict(inputs))
        result: NDArray[np.float32] = value
        return result


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if core.instruction_set() not in _HAVE_BYTE_PRODUCTS:
        # Sums of two products of uint8 and int8 saturate in the instructions of AVX2. ONNX Runtime
        # has another product for them, exact and slower: 2.3 times the time of the one with VNNI.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options
