"""The encoder of words, made to wait: texts with the word "slow" are encoded once the file that
SERVING_GATE names exists. It prints where only answers belong, as libraries of models do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tests.cli.words_encoder import WordsEncoder


class GatedEncoder(WordsEncoder):
    """One vector per word, behind a gate."""

    def encode_documents(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        print("encoding", len(texts), flush=True)
        if any("slow" in text for text in texts):
            gate = Path(os.environ["SERVING_GATE"])
            while not gate.exists():
                time.sleep(0.01)
        return super().encode_documents(texts)


def make() -> GatedEncoder:
    print("loading the model")
    os.write(1, b"loaded by a library in C\n")
    return GatedEncoder()
